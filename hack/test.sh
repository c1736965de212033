#!/usr/bin/env bash
# Everything that CI runs, in stages that print their names and durations. Needs root for the local clusters.
# usage: hack/test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

stage() { hack/stage.sh "$@"; }
# The tests of one target on real clusters.
cluster_tests() { stage "tests: $1" cargo test --locked --test "$1" -- --include-ignored --test-threads 1; }

stage setup hack/setup.sh
stage "the local cluster's driver" cargo build --quiet --locked --bin reeve-cluster

# Go builds Kubernetes while cargo is busy; on a warm machine both are done at once.
mkdir -p "$cache"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
reeve_cluster kube >"$logs/kube" 2>&1 &
kube_build=$!
wait_for_kube() { wait "$kube_build" || { cat "$logs/kube" >&2; return 1; }; }

stage "the upstream agent's Python environment" e2e/fake-waldur/venv.sh
stage "that of its newest candidate" e2e/fake-waldur/venv.sh rc
REEVE_SITE_AGENT_VENV=$(e2e/fake-waldur/venv.sh)
REEVE_SITE_AGENT_RC_VENV=$(e2e/fake-waldur/venv.sh rc)
export REEVE_SITE_AGENT_VENV REEVE_SITE_AGENT_RC_VENV

stage 'generated files' hack/generate.sh --check
hack/lint.sh
hack/test-unit.sh

SECONDS=0
wait_for_kube
printf '\n==> Kubernetes in one binary: %s\n<== waited %d s for it\n' "$(tail -n 1 "$logs/kube")" "$SECONDS"

stage images cargo run --quiet --locked --bin reeve-cluster -- images
stage chart hack/chart-test.sh

# Tests on real clusters wait more than they compute, so they run in two lanes side by side. Here goes what brings up
# clusters of its own kind; a new target is named in the shorter lane.
clusters_lane() {
    cluster_tests control_plane # the local cluster itself: API servers without nodes
    cluster_tests node          # and with one
    stage 'chart on an API server' hack/chart-install-test.sh
    stage 'plugin on an API server' hack/plugin-test.sh
    cluster_tests pods          # the whole product: chart, operator, the upstream agent in pods
}
operator_lane() {
    cluster_tests api           # the operator on API servers
}

(clusters_lane) >"$logs/clusters" 2>&1 &
clusters=$!
code=0
operator_lane || code=$?
wait "$clusters" || code=$?
cat "$logs/clusters"
exit "$code"
