#!/usr/bin/env bash
# Installs the Debian packages that the local cluster and its images are made with. Without root it prints the
# command instead and fails, as it does when Go or Rust are missing or too old. usage: hack/setup.sh
set -euo pipefail

packages=(
    containerd runc containernetworking-plugins                 # what runs pods
    iproute2 nftables iptables conntrack ethtool socat          # what kubelet and kube-proxy call
    util-linux procps                                           # unshare and nsenter
    openssh-server docker.io docker-compose busybox-static      # hosts that rollouts deploy to
    buildah mmdebstrap debian-archive-keyring                   # what makes images
    ca-certificates tzdata gcc libc6-dev git make jq shellcheck # what building and checking need
)

missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
        missing+=("$package")
done

# Debian's own Go and Rust are older than these: at_least NAME WANTED FOUND
ok=true
at_least() {
    if [ -z "$3" ] || [ "$(printf '%s\n' "$2" "$3" | sort --version-sort | head -n 1)" != "$2" ]; then
        echo "$1 $2 or newer is needed, ${3:-none} was found: see $4" >&2
        ok=false
    fi
}
at_least Go 1.25 "$(go env GOVERSION 2>/dev/null | sed 's/^go//')" https://go.dev/dl/
at_least Rust 1.95 "$(rustc --version 2>/dev/null | cut -d ' ' -f 2)" https://rustup.rs/

if [ ${#missing[@]} -gt 0 ]; then
    install=(apt-get install --yes --no-install-recommends "${missing[@]}")
    if [ "$(id -u)" -eq 0 ]; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive "${install[@]}"
    else
        echo "root is needed to install packages; run: sudo apt-get update && sudo ${install[*]}" >&2
        ok=false
    fi
elif [ "$(id -u)" -ne 0 ]; then
    echo 'all packages are installed; the local cluster itself needs root: sudo make demo' >&2
    ok=false
fi
$ok
