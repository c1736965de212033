# shellcheck shell=bash
# Sourced by the other scripts: where the checkout and the cache are, and the tools that Go builds for the tests.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${REEVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve}
# Cargo is called for the whole workspace everywhere: with --package it would select other features of the same
# dependencies, and compile those once more.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

# By its files' age alone cargo tells apart two checkouts with one target directory, and takes what it has compiled of the
# other where that is younger. So the files count as new where the last one was another.
if [ "$(cat "$CARGO_TARGET_DIR/checkout" 2>/dev/null)" != "$root" ]; then
    find "$root"/{agents,cli,crates,crds,e2e,operator} -name '*.rs' -exec touch {} +
    mkdir -p "$CARGO_TARGET_DIR"
    echo "$root" >"$CARGO_TARGET_DIR/checkout"
fi

# The driver of the local cluster, built at its first use.
reeve_cluster() {
    if [ -z "${driver:-}" ]; then
        cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --bin reeve-cluster
        driver=$CARGO_TARGET_DIR/debug/reeve-cluster
    fi
    "$driver" "$@"
}

# Puts the path of a Go command into the variable `tool`, built from MODULE@VERSION once.
# A module with replace directives cannot be installed, so it is built where Go unpacked it.
# usage: go_tool MODULE VERSION PACKAGE [NAME]
go_tool() {
    local module=$1 version=$2 package=$3 name=${4:-$(basename "$3")} source
    tool=$cache/bin/$name-$version
    [ -x "$tool" ] && return
    mkdir -p "$cache/bin"
    source=$(go mod download -json "$module@$version" | jq -er .Dir)
    go build -C "$source" -o "$tool.unfinished" "$package"
    mv "$tool.unfinished" "$tool"
}

# Docker Compose 2 for the hosts of tests, as a plugin of docker; Debian has Compose 1.
compose_plugin() {
    local version=v2.40.3
    GOFLAGS=-ldflags=-X=github.com/docker/compose/v2/internal.Version=$version \
        go_tool github.com/docker/compose/v2 $version ./cmd docker-compose
}
