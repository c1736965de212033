# Says how the containers of the project are: container SERVICE STATE EXIT-CODE HEALTH, one a line. Those that somebody has
# started by `compose run` are none of the deployment's.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    # Those of services of today: others, such as of a profile that is off, are none of the deployment's.
    services=$(in_project config --services) || exit 21
    # shellcheck disable=SC2086 # names of services are words
    all=$(in_project ps --all --quiet $services 2>/dev/null) || all=$(in_project ps --quiet $services) || exit 21
    for container in $all; do
        docker inspect --format \
            '{{if ne (index .Config.Labels "com.docker.compose.oneoff") "True"}}'"$reeve_mark"'container {{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{with .State.Health}}{{.Status}}{{else}}none{{end}}{{end}}' \
            "$container"
    done
    exit 0
}
