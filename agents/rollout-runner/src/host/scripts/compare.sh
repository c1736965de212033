# Says of each file what it is now, and touches nothing: file CHECKSUM MODE OWNER:GROUP, or file absent.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
{
    for path in "$@"; do
        if [ -f "$path" ]; then
            found=$(sha256sum <"$path" 2>/dev/null) || found='unreadable'
            echo "${reeve_mark}file ${found%% *} $(stat -c '%a %U:%G' "$path")"
        else
            echo "${reeve_mark}file absent"
        fi
    done
    echo "${reeve_mark}me $(id -un):$(id -gn)"
    exit 0
}
