# Says what a working tree is at, and touches nothing.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    cd "$directory" || exit 90
    changes=$(git status --porcelain --untracked-files=no) || exit 10
    if [ -n "$changes" ]; then
        printf '%s\n' "$changes" | head -n 5 | sed "s/^/${reeve_mark}changed /"
        exit 11
    fi
    echo "${reeve_mark}head $(git rev-parse HEAD)"
    echo "${reeve_mark}branch $(git symbolic-ref --quiet --short HEAD)"
    exit 0
}
