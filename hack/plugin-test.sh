#!/usr/bin/env bash
# The plugin's verbs talk to a cluster that they are given: an API server without nodes. usage: hack/plugin-test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

export REEVE_CLUSTER=reeve-plugin
trap 'reeve_cluster down' EXIT
reeve_cluster up --no-node
reeve_cluster exec -- cargo test --locked --test cluster -- --ignored
