#!/usr/bin/env bash
# Everything that CI runs, in stages that print their names and durations. Needs root for the local clusters.
# usage: hack/test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

stage() { hack/stage.sh "$@"; }
# The tests of one target on real clusters, all or those that a filter picks.
# shellcheck disable=SC2317 # `beside` calls it
cluster_tests() {
    local target=$1
    shift
    stage "tests: $target $*" cargo test --locked --test "$target" -- --include-ignored --test-threads 1 "$@"
}

stage setup hack/setup.sh
stage "the local cluster's driver" cargo build --quiet --locked --bin reeve-cluster

# Go builds Kubernetes and Compose while cargo is busy; on a warm machine all are done at once.
mkdir -p "$cache"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
reeve_cluster kube >"$logs/kube" 2>&1 &
kube_build=$!
compose_plugin >"$logs/compose" 2>&1 &
compose_build=$!
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

# Tests on real clusters wait more than they compute, so several run side by side, each on clusters of its own. With
# four at a time two cores are never idle, and what starts Python there takes minutes.
lanes=3
running=0
shown=()
code=0
# Starts a command once a lane is free; what it writes is shown at the end. usage: beside COMMAND [ARGUMENT...]
beside() {
    if [ "$running" -eq "$lanes" ]; then ended; fi
    shown+=("$logs/${#shown[@]}")
    "$@" >"${shown[-1]}" 2>&1 &
    running=$((running + 1))
}
ended() {
    wait -n || code=$?
    running=$((running - 1))
}

# Compiled once, before they wait for each other's turn.
cargo test --quiet --locked --no-run --tests
# As the images have it.
REEVE_OPERATOR=$CARGO_TARGET_DIR/$(rustc --print host-tuple)/release/reeve-operator
export REEVE_OPERATOR
# Rollouts go to hosts with Compose 2, and the runner alone is tried with Debian's Compose 1.
wait "$compose_build" || { cat "$logs/compose"; exit 1; }
compose_plugin
compose_2=$tool

# The longest first, so that none is left over at the end; what computes most is not beside the Python of agents.
# Rollouts from the operator to real hosts, in pods.
REEVE_COMPOSE_PLUGIN=$compose_2 beside cluster_tests homelab --skip outages::
# The whole product: chart, operator, the upstream agent in pods.
beside cluster_tests pods --skip standbys:: --skip side_by_side::
beside cluster_tests api --skip burst:: --skip rollout      # the operator on API servers
beside cluster_tests pods standbys::
beside cluster_tests pods side_by_side::    # event agents, TLS, root
REEVE_COMPOSE_PLUGIN=$compose_2 beside cluster_tests homelab outages::  # hosts that are cut off
beside cluster_tests api rollout --skip burst::
beside cluster_tests api burst::
beside cluster_tests hosts                  # the runner of rollouts on real hosts
beside stage 'tests that wait' cargo test --quiet --locked --test cluster -- --ignored token_that_was_replaced
beside cluster_tests control_plane          # the local cluster itself: API servers without nodes
beside cluster_tests node                   # and with one
beside stage 'chart on an API server' hack/chart-install-test.sh
beside stage 'plugin on an API server' hack/plugin-test.sh
while [ "$running" -gt 0 ]; do ended; done
cat "${shown[@]}"
if [ "$code" -ne 0 ]; then
    printf '\n==> what failed, once more\n'
    sed -n '/^failures:$/,/^test result:/p; /FAILED (exit code/p' "${shown[@]}"
fi
exit "$code"
