# What a person wants to see of a deployment that failed. Arguments: the services that are not well; none means all.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    in_project ps 2>&1
    in_project logs --no-color --tail 20 "$@" 2>&1
    exit 0
}
