#!/usr/bin/env bash
# The tests that need neither root nor a server. hack/test.sh runs those that do.
# usage: hack/test-unit.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

hack/stage.sh 'unit tests' cargo test --quiet --locked --workspace --exclude reeve-e2e --exclude reeve-e2e-tests
hack/stage.sh "unit tests of the cluster's driver" cargo test --quiet --locked --package reeve-e2e --lib --bins
