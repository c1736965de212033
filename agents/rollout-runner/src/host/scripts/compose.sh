# Functions around Compose: `compose ARGUMENT…` is the plugin of docker, or docker-compose of old.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}
# With the project's name and files: in_project ARGUMENT…. COMPOSE_FILE and COMPOSE_PROJECT_NAME are those of the spec.
in_project() {
    if [ -n "$files" ]; then
        COMPOSE_PATH_SEPARATOR=: COMPOSE_FILE=$files
        export COMPOSE_PATH_SEPARATOR COMPOSE_FILE
    fi
    if [ -n "$project" ]; then
        COMPOSE_PROJECT_NAME=$project
        export COMPOSE_PROJECT_NAME
    fi
    compose "$@"
}
# The containers of the project's services of today: others, such as of a profile that is off, are none of the deployment's.
containers() {
    services=$(in_project config --services) || return 1
    # shellcheck disable=SC2086 # names of services are words
    in_project ps --all --quiet $services 2>/dev/null || in_project ps --quiet $services
}
