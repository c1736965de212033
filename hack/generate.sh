#!/usr/bin/env bash
# Writes the files that are made from the API types: crds/yaml/, docs/reference/, and the chart's copy of the former.
# With --check it fails when that changed anything. usage: hack/generate.sh [--check]
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

generated=(crds/yaml docs/reference charts/reeve/files/crds)
fingerprint() { find "${generated[@]}" -type f -exec sha256sum {} + 2>/dev/null | sort --key 2; }

before=$(fingerprint)
cargo run --quiet --locked --example crdgen >/dev/null
# A copy and no link, so that the packaged chart is whole.
rm -rf charts/reeve/files/crds
mkdir -p charts/reeve/files/crds
# Those that the operator serves: objects of any other kind would be taken, and nobody would look at them.
served=(siteagents deploymentrollouts)
for plural in "${served[@]}"; do cp "crds/yaml/reeve.dev.$plural.yaml" charts/reeve/files/crds/; done

if [ "${1:-}" = --check ] && ! changes=$(diff <(echo "$before") <(fingerprint)); then
    printf 'generated files were not up to date; they are now, so commit them:\n%s\n' \
        "$(grep -o '[^ ]*$' <<<"$changes" | grep / | sort -u)" >&2
    exit 1
fi
