# Takes over what was uploaded for a file: checks it, gives it mode and owner, and puts it beside the live one. Runs
# fenced. Arguments: PATH UPLOADED CHECKSUM MODE OWNER, for each file; OWNER may be empty.
# shellcheck shell=sh disable=SC2154 # variables are set by the runner, in front
set -u
while [ $# -gt 0 ]; do
    path=$1 uploaded=$2 checksum=$3 mode=$4 owner=$5
    shift 5
    found=$(sha256sum <"$uploaded") || exit 30
    [ "${found%% *}" = "$checksum" ] || { echo "${reeve_mark}damaged $path"; exit 31; }
    if [ -n "$owner" ]; then chown "$owner" "$uploaded" || { echo "${reeve_mark}owner $path"; exit 32; }; fi
    chmod "$mode" "$uploaded" || exit 32
    staged=$(staged_of "$path")
    mv -f "$uploaded" "$staged" || exit 30
done
exit 0
