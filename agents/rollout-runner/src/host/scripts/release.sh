# Gives the lock back and takes away what never became live: staged files and uploads. Runs fenced.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -u
if [ -e "$mine/staged" ]; then
    while IFS= read -r path; do
        rm -f "$(dirname "$path")/.$(basename "$path").reeve-$run."*
    done <"$mine/staged"
    rm -f "$mine/staged"
fi
rm -rf "$state/preflight"
if read -r holder _ 2>/dev/null <"$state/lock" && [ "$holder" = "$run" ]; then rm -f "$state/lock"; fi
# Records of runs before the last twenty are of no use any more: no rollout keeps more of them.
cd "$state/runs" || exit 0
# shellcheck disable=SC2012 # names are run ids
ls -1t | tail -n +21 | while IFS= read -r old; do rm -rf "./$old"; done
exit 0
