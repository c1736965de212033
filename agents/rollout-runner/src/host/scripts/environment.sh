# Says the environment of the project's containers, a JSON list each, for what must not be shown of it. Touches nothing.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    # Those of services of today: others, such as of a profile that is off, are none of the deployment's.
    services=$(in_project config --services) || exit 21
    # shellcheck disable=SC2086 # names of services are words
    all=$(in_project ps --all --quiet $services 2>/dev/null) || all=$(in_project ps --quiet $services) || exit 21
    for container in $all; do
        docker inspect --format "$reeve_mark"'environment {{json .Config.Env}}' "$container"
    done
    exit 0
}
