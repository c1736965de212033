# Says how the containers of the project are: container SERVICE STATE EXIT-CODE HEALTH, one a line.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    all=$(in_project ps --all --quiet 2>/dev/null) || all=$(in_project ps --quiet) || exit 21
    for container in $all; do
        docker inspect --format \
            "$reeve_mark"'container {{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{with .State.Health}}{{.Status}}{{else}}none{{end}}' \
            "$container"
    done
    exit 0
}
