# Says how the containers of the project are: container SERVICE STATE EXIT-CODE HEALTH, one a line. Those that somebody has
# started by `compose run` are none of the deployment's.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    all=$(containers) || exit 21
    for container in $all; do
        docker inspect --format \
            '{{if ne (index .Config.Labels "com.docker.compose.oneoff") "True"}}'"$reeve_mark"'container {{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{with .State.Health}}{{.Status}}{{else}}none{{end}}{{end}}' \
            "$container"
    done
    exit 0
}
