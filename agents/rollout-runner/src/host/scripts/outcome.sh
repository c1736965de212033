# Says what became of attempt "$observed" of this step. Runs fenced, so it waits until that has ended.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
if read -r code 2>/dev/null <"$mine/$step.$observed.ended"; then
    echo "${reeve_mark}ended $code"
elif [ -e "$mine/$step.$observed.begun" ]; then
    echo "${reeve_mark}broken yes"
else
    echo "${reeve_mark}nothing yes"
fi
echo "${reeve_mark}head $(git rev-parse HEAD)"
exit 0
