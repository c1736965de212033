# Functions on files with secrets. The files are arguments, one each.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
key_of() { printf '%s' "$1" | sha256sum | cut -c 1-64; }
staged_of() { printf '%s/.%s.reeve-%s.new' "$(dirname "$1")" "$(basename "$1")" "$run"; }
# Keeps the previous version of each staged file, once, then makes it live.
make_live() {
    kept=$mine/previous
    mkdir -p "$kept" || return 1
    for path in "$@"; do
        staged=$(staged_of "$path")
        [ -e "$staged" ] || continue
        key=$(key_of "$path")
        if [ ! -e "$kept/$key" ] && [ ! -e "$kept/$key.absent" ]; then
            if [ -e "$path" ]; then
                cp -p "$path" "$kept/$key.new" && mv "$kept/$key.new" "$kept/$key" || return 1
            else
                : >"$kept/$key.absent" || return 1
            fi
        fi
        mv -f "$staged" "$path" || return 1
    done
}
# Makes previous versions live again: restore FOLDER PATH…
restore() {
    kept=$1
    shift
    for path in "$@"; do
        key=$(key_of "$path")
        if [ -e "$kept/$key" ]; then
            cp -p "$kept/$key" "$(staged_of "$path").back" && mv -f "$(staged_of "$path").back" "$path" || return 1
        elif [ -e "$kept/$key.absent" ]; then
            rm -f "$path" || return 1
        fi
    done
}
