#!/usr/bin/env bash
# The tests that need neither root nor a server. hack/test.sh runs those that do.
# usage: hack/test-unit.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

hack/stage.sh 'unit tests' cargo test --quiet --locked
