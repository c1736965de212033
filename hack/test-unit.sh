#!/usr/bin/env bash
# The tests that need neither root nor a server. hack/test.sh runs those that do.
# usage: hack/test-unit.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

# Many of them wait for processes that they started, and the cores are free meanwhile.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
hack/stage.sh 'unit tests' hack/test-programs.sh
