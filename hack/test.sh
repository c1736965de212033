#!/usr/bin/env bash
# Everything that CI runs, in stages that print their names and durations. Needs root for the local clusters.
# usage: hack/test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

# The tests on real clusters, PACKAGE TARGET, run one after another. A new target is named here.
real_tests=(
    'reeve-e2e control_plane' # the local cluster itself: API servers without nodes
    'reeve-e2e node'          # and with one
    'reeve-e2e-tests api'     # the operator on API servers
    'reeve-e2e-tests pods'    # the whole product: chart, operator, the upstream agent in pods
)

stage() { hack/stage.sh "$@"; }

stage setup hack/setup.sh
stage "the local cluster's driver" cargo build --quiet --locked --package reeve-e2e

# Go builds Kubernetes while cargo is busy; on a warm machine both are done at once.
mkdir -p "$cache"
kube_log=$(mktemp)
trap 'rm -f "$kube_log"' EXIT
reeve_cluster kube >"$kube_log" 2>&1 &
kube_build=$!
wait_for_kube() { wait "$kube_build" || { cat "$kube_log" >&2; return 1; }; }

stage "the upstream agent's Python environment" e2e/fake-waldur/venv.sh
REEVE_SITE_AGENT_VENV=$(e2e/fake-waldur/venv.sh)
export REEVE_SITE_AGENT_VENV

stage 'generated files' hack/generate.sh --check
hack/lint.sh
hack/test-unit.sh

SECONDS=0
wait_for_kube
printf '\n==> Kubernetes in one binary: %s\n<== waited %d s for it\n' "$(tail -n 1 "$kube_log")" "$SECONDS"

stage images cargo run --quiet --locked --package reeve-e2e --bin reeve-cluster -- images
# The plugin's verbs talk to a cluster that they are given.
plugin_tests() {
    reeve_cluster up --name test-plugin --no-node
    local code=0
    reeve_cluster exec --name test-plugin -- \
        cargo test --locked --package kubectl-reeve --test cluster -- --ignored || code=$?
    reeve_cluster down --name test-plugin
    return "$code"
}

stage chart hack/chart-test.sh
stage 'chart on an API server' hack/chart-install-test.sh
plugin_tests
for test in "${real_tests[@]}"; do
    read -r package target <<<"$test"
    stage "tests: $target" cargo test --locked --package "$package" --test "$target" -- \
        --include-ignored --test-threads 1
done
