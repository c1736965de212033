# Says who has the host's lock, if anybody: held RUN SINCE OWNER. Touches nothing.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    state=$(git rev-parse --absolute-git-dir)/reeve || exit 10
    if read -r holder since rest 2>/dev/null <"$state/lock" && ! is_left; then
        echo "${reeve_mark}held $holder $since $rest"
        echo "${reeve_mark}file $state/lock"
    fi
    exit 0
}
