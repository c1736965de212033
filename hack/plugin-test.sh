#!/usr/bin/env bash
# The plugin's verbs talk to a cluster that they are given: an API server without nodes. usage: hack/plugin-test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

export REEVE_CLUSTER=reeve-plugin
trap 'reeve_cluster down' EXIT
reeve_cluster up --no-node
# The supervisor has a test of the same name that needs a minute and no cluster; hack/test.sh runs it.
reeve_cluster exec -- cargo test --locked --test cluster -- --ignored --skip token_that_was_replaced
