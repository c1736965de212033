# Says the environment of the project's containers, a JSON list each, for what must not be shown of it. Touches nothing.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    all=$(containers) || exit 21
    for container in $all; do
        docker inspect --format "$reeve_mark"'environment {{json .Config.Env}}' "$container"
    done
    exit 0
}
