#!/usr/bin/env bash
# Every check that runs nothing of the product: format, lints, dependencies. usage: hack/lint.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

hack/stage.sh format cargo fmt --all --check
hack/stage.sh clippy cargo clippy --quiet --locked --workspace --all-targets -- --deny warnings
hack/stage.sh gofmt bash -c 'test -z "$(gofmt -l e2e/kube | tee /dev/stderr)"'
if command -v shellcheck >/dev/null; then
    hack/stage.sh shellcheck shellcheck hack/*.sh .ci/run
    # What runs on hosts is put together of these, and read by their sh.
    hack/stage.sh 'shellcheck of scripts for hosts' shellcheck --shell sh agents/rollout-runner/src/host/scripts/*.sh
else
    echo 'shellcheck is not installed: scripts are not checked' >&2
fi
hack/stage.sh dependencies hack/check-deps.sh
hack/stage.sh 'links in the pages' hack/check-links.sh
