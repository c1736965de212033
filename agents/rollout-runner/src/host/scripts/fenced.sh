# Carries out "$body" once at a time for a working tree, refuses attempts older than one it has seen, ends it at a time
# limit, and notes how it ended, so that a later attempt can ask. What runs here survives the connection.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    mask=$(umask)
    umask 077
    # With less than 64 KiB left, whatever has failed has most likely failed for that.
    is_full() { [ "$(df -Pk . | awk 'NR == 2 {print $4}')" -lt 64 ]; }
    no_state() {
        if is_full; then echo "${reeve_mark}refused full"; else echo "${reeve_mark}refused state"; fi
        exit 90
    }
    cd "$directory" || { echo "${reeve_mark}refused directory"; exit 90; }
    git_dir=$(git rev-parse --absolute-git-dir) || { echo "${reeve_mark}refused repository"; exit 90; }
    state=$git_dir/reeve
    mine=$state/runs/$run
    mkdir -p "$mine" || no_state
    exec 9>>"$state/fence.lock"
    flock -w "$patience" 9 || { echo "${reeve_mark}refused busy"; exit 91; }
    if read -r seen who 2>/dev/null <"$mine/$step.fence"; then
        if [ "$seen" -gt "$attempt" ] || { [ "$seen" -eq "$attempt" ] && [ "$who" != "$pod" ]; }; then
            echo "${reeve_mark}refused attempt $seen"
            exit 92
        fi
    fi
    if ! { printf '%s %s\n' "$attempt" "$pod" >"$mine/$step.fence.new" && mv "$mine/$step.fence.new" "$mine/$step.fence"; }; then
        no_state
    fi
    log=$mine/$step.log
    [ -z "$noted" ] || { rm -f "$mine/$step.$attempt.ended"; : >"$mine/$step.$attempt.begun"; }
    export directory state mine run step attempt
    # The lock's descriptor is inherited: as long as anything that was started here lives, nothing newer starts.
    # What is checked out is for containers too. What is noted lies below a folder that is nobody else's.
    timeout -k 10 "$limit" sh -c "umask $mask
$body" sh "$@" </dev/null >"$log" 2>&1
    code=$?
    if [ -n "$noted" ]; then
        printf '%s\n' "$code" >"$mine/$step.$attempt.ended.new"
        mv "$mine/$step.$attempt.ended.new" "$mine/$step.$attempt.ended"
    fi
    tail -c 131072 "$log"
    if [ "$code" -ne 0 ] && is_full; then printf '\n%sfull yes\n' "$reeve_mark"; fi
    # A look is of no run: what it has noted is of no use to anybody.
    [ -z "$fleeting" ] || rm -rf "$mine"
    exit "$code"
}
