#!/usr/bin/env bash
# Compiles the test programs of the workspace and runs four at a time, where cargo would run one after another, and the
# examples in doc comments beside them. Each shows its output once it ends. usage: hack/test-programs.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Three lines for each: the folder to run it in, its source, its path. Those that wait longest come first.
cargo test --quiet --locked --no-run --message-format json-render-diagnostics |
    jq --slurp --raw-output '
        map(select(.profile.test and .executable))
        | sort_by(.target.name | IN("vigil", "upstream_agent", "supervise") | not)[]
        | (.manifest_path | rtrimstr("/Cargo.toml")), .target.src_path, .executable' >"$work/programs"

# usage: run FOLDER SOURCE PROGRAM
# shellcheck disable=SC2317 # xargs calls it
run() {
    local code=0
    (cd "$1" && CARGO_MANIFEST_DIR=$1 exec "$3" --quiet) >"$work/$$" 2>&1 || code=$?
    exec {lock}>"$work/lock"
    flock "$lock"
    printf '\n     Running %s\n' "${2#"$root"/}"
    cat "$work/$$"
    [ "$code" -eq 0 ] || echo "FAILED: $3 ended with exit code $code"
    exit "$code"
}
export root work
export -f run

cargo test --quiet --locked --doc >"$work/examples" 2>&1 &
examples=$!
code=0
xargs --delimiter '\n' --max-args 3 --max-procs 4 bash -c 'run "$@"' run <"$work/programs" || code=$?
wait "$examples" || code=$?
printf '\n     Running the examples in doc comments\n'
cat "$work/examples"
exit "$code"
