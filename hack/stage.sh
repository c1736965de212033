#!/usr/bin/env bash
# Runs one stage of a longer run: prints its name before, and how it ended and how long it took after.
# usage: hack/stage.sh NAME COMMAND [ARGUMENT...]
set -euo pipefail

name=$1
shift
printf '\n==> %s\n' "$name"
SECONDS=0
code=0
"$@" || code=$?
if [ "$code" -eq 0 ]; then
    printf '<== %s: passed in %d s\n' "$name" "$SECONDS"
else
    printf '<== %s: FAILED (exit code %d) after %d s\n' "$name" "$code" "$SECONDS" >&2
fi
exit "$code"
