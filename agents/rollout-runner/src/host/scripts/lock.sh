# Takes the host's lock for a run, or says who has it. Runs fenced.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -eu
if [ -s "$state/lock" ]; then
    read -r holder since rest <"$state/lock"
    if is_left; then
        rm "$state/lock"
    elif [ "$holder" != "$run" ]; then
        echo "${reeve_mark}held $holder $since $rest"
        echo "${reeve_mark}file $state/lock"
        exit 3
    fi
fi
if [ ! -s "$state/lock" ]; then
    printf '%s %s %s\n' "$run" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$owner" >"$state/lock.new"
    mv "$state/lock.new" "$state/lock"
fi
