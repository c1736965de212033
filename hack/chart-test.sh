#!/usr/bin/env bash
# Tests the chart without a cluster: helm lint, its unit tests, and kubeconform on what it renders from each file
# of charts/reeve/ci. usage: hack/chart-test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

chart=charts/reeve
kube=$(reeve_cluster kube)
kubernetes=$(go -C e2e/kube list -m -f '{{.Version}}' k8s.io/kubernetes)
go_tool github.com/yannh/kubeconform v0.8.0 ./cmd/kubeconform
kubeconform=$tool
go_tool github.com/helm-unittest/helm-unittest v1.1.2 ./cmd/helm-unittest
unittest=$tool

schemas=$cache/kubeconform/$kubernetes-$(sha256sum hack/kubeconform-schemas.sh | head -c 8)
[ -d "$schemas" ] || {
    rm -rf "$schemas.unfinished"
    hack/kubeconform-schemas.sh "$schemas.unfinished"
    mv "$schemas.unfinished" "$schemas"
}

for values in "$chart"/ci/*-values.yaml; do
    "$kube" helm lint --strict --quiet --kube-version "$kubernetes" --values "$values" "$chart"
    printf '%s: ' "$values"
    # The Prometheus operator's kinds are not Kubernetes' own; the unit tests look at them.
    "$kube" helm template reeve "$chart" --namespace reeve-system --kube-version "$kubernetes" --values "$values" |
        "$kubeconform" -strict -summary -skip PodMonitor,ServiceMonitor \
            -schema-location "$schemas/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json"
done
"$unittest" "$chart"
