# Gives the lock back and takes away what never became live: staged files and uploads. Runs fenced.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -u
abandon() {
    while IFS= read -r path; do
        rm -f "$(dirname "$path")/.$(basename "$path").reeve-$1."*
    done <"$state/runs/$1/staged"
    rm -f "$state/runs/$1/staged"
}
if [ -e "$mine/staged" ]; then abandon "$run"; fi
rm -rf "$state/preflight"
if read -r holder _ 2>/dev/null <"$state/lock" && [ "$holder" = "$run" ]; then
    # A run that could not do it, since the host was away at its end, has left its files to whoever has the lock next.
    for left in "$state"/runs/*/staged; do
        if [ -e "$left" ]; then abandon "$(basename "$(dirname "$left")")"; fi
    done
    rm -f "$state/lock"
fi
# Records of runs before the last twenty are of no use any more: no rollout keeps more of them.
cd "$state/runs" || exit 0
# shellcheck disable=SC2012 # names are run ids
ls -1t | tail -n +21 | while IFS= read -r old; do rm -rf "./$old"; done
exit 0
