#!/usr/bin/env bash
# Checks the dependency graph without a network: licences, banned crates (deny.toml names both), and one crypto
# provider. `cargo deny check` does this and advisories where its database can be fetched.
# usage: hack/check-deps.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

# The quoted strings of a list in deny.toml: strings KEY
strings() { sed -n "/^$1 = \[/,/^\]/p" deny.toml | grep -o '"[^"]*"' | tr -d '"'; }

allowed=$(strings allow | jq -R . | jq -s .)
metadata=$(cargo metadata --format-version 1 --locked --filter-platform x86_64-unknown-linux-gnu)
# Every AND-part of an expression needs one OR-part that is allowed; "/" is an old spelling of OR.
refused=$(jq -r --argjson allowed "$allowed" '
    .packages[] | select(.source != null)
    | select(
        (.license // "none") | gsub("[()]"; "") | gsub(" */ *"; " OR ")
        | [splits(" AND ") | [splits(" OR ") | IN($allowed[])] | any] | all | not)
    | "\(.name) \(.version): \(.license // "no licence")"' <<<"$metadata")
if [ -n "$refused" ]; then
    printf 'licences that deny.toml does not allow:\n%s\n' "$refused" >&2
    exit 1
fi

graph=$(cargo tree --workspace --locked --edges normal,build --prefix none --format '{p}' | cut -d' ' -f1 | sort -u)
if banned=$(grep -Fx -f <(strings deny) <<<"$graph"); then
    printf 'banned crates are in the graph (cargo tree --invert NAME tells by whom):\n%s\n' "$banned" >&2
    exit 1
fi
if ! grep -qx ring <<<"$graph"; then
    echo "ring, the crypto provider, is not in the graph" >&2
    exit 1
fi

duplicates=$(cargo tree --workspace --locked --duplicates --depth 0 --edges normal --prefix none --format '{p}' |
    cut -d' ' -f1 | sort -u | tr '\n' ' ')
printf '%s crates, licences allowed, ring the only crypto provider; in several versions: %s\n' \
    "$(wc -l <<<"$graph")" "$duplicates"
