#!/usr/bin/env bash
# Everything that CI runs, in stages that print their names and durations. Needs root for the local clusters.
# usage: hack/test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

stage() { hack/stage.sh "$@"; }
# The tests of one target on real clusters, all or those that a filter picks.
cluster_tests() {
    local target=$1
    shift
    stage "tests: $target $*" cargo test --locked --test "$target" -- --include-ignored --test-threads 1 "$@"
}

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
# Images are built from release binaries in a directory of their own, while the tests wait for this and that.
stage images cargo run --quiet --locked --bin reeve-cluster -- images >"$logs/images" 2>&1 &
images=$!
hack/test-unit.sh

SECONDS=0
wait_for_kube
printf '\n==> Kubernetes in one binary: %s\n<== waited %d s for it\n' "$(tail -n 1 "$logs/kube")" "$SECONDS"

wait "$images" || { cat "$logs/images"; exit 1; }
cat "$logs/images"
stage chart hack/chart-test.sh

# Tests on real clusters wait more than they compute, so they run in three lanes side by side. Each line brings up
# clusters of its own.
lane_api() {
    cluster_tests api --skip burst::        # the operator on API servers
    cluster_tests hosts                     # the runner of rollouts on real hosts
    cluster_tests homelab                   # rollouts from the operator to such hosts, in pods
    stage 'chart on an API server' hack/chart-install-test.sh
    stage 'plugin on an API server' hack/plugin-test.sh
}
lane_pods() {
    cluster_tests pods --skip standbys::    # the whole product: chart, operator, the upstream agent in pods
}
lane_more() {
    stage 'tests that wait' cargo test --quiet --locked --test cluster -- --ignored token_that_was_replaced
    cluster_tests control_plane             # the local cluster itself: API servers without nodes
    cluster_tests node                      # and with one
    REEVE_OPERATOR=$release_operator cluster_tests api burst::
    cluster_tests pods standbys::
}

# As the images have it.
release_operator=$CARGO_TARGET_DIR/$(rustc --print host-tuple)/release/reeve-operator
# Compiled once, before the lanes wait for each other's turn.
cargo test --quiet --locked --no-run --tests

lane_api >"$logs/api" 2>&1 &
running=($!)
lane_pods >"$logs/pods" 2>&1 &
running+=($!)
lane_more >"$logs/more" 2>&1 &
running+=($!)
code=0
for lane in "${running[@]}"; do wait "$lane" || code=$?; done
cat "$logs"/{api,pods,more}
exit "$code"
