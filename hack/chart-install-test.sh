#!/usr/bin/env bash
# Installs, upgrades, removes and reinstalls the chart on a real API server without nodes: what the server refuses,
# what RBAC really grants, and that objects outlive the release. usage: hack/chart-install-test.sh
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

export REEVE_CLUSTER=reeve-chart
in_cluster() { reeve_cluster exec -- "$@"; }
helm() { in_cluster helm "$@" --namespace reeve-system; }
kubectl() { in_cluster kubectl "$@"; }
fail() { echo "chart test: $*" >&2; exit 1; }

# What the operator's account may do: may VERB RESOURCE[.GROUP][/NAME] NAMESPACE
may() {
    kubectl auth can-i "$1" "$2" --namespace "$3" --quiet \
        --as system:serviceaccount:reeve-system:reeve-operator
}

trap 'reeve_cluster down' EXIT
reeve_cluster up --no-node
for namespace in hpc hpc-moab hpc-staging cloud other homelab delivery shop shop-staging site-operations; do
    kubectl create namespace "$namespace" >/dev/null
done

echo 'install, cluster-wide'
helm install reeve charts/reeve --create-namespace >/dev/null
may list secrets other || fail 'a cluster-wide operator may not list Secrets'
may delete pods hpc && fail 'the operator may delete pods'
may create pods hpc && fail 'the operator may create pods'
for example in site-agent site-agent-moab deployment-rollout; do
    kubectl apply --filename "examples/$example/" --dry-run=server >/dev/null
done

echo 'upgrade, to two namespaces'
helm upgrade reeve charts/reeve --values charts/reeve/ci/namespaced-values.yaml \
    --set crds.enabled=true >/dev/null
may list secrets hpc || fail 'a namespaced operator may not list Secrets in its namespace'
may list secrets other && fail 'a namespaced operator may list Secrets elsewhere'

echo 'uninstall, and the definition stays'
helm uninstall reeve >/dev/null
kubectl get customresourcedefinition siteagents.reeve.dev >/dev/null || fail 'crds.keep did not keep the definition'

echo 'install again over the definition that stayed'
helm install reeve charts/reeve >/dev/null
helm uninstall reeve >/dev/null

echo 'every value, by the server'
kubernetes=$(go -C e2e/kube list -m -f '{{.Version}}' k8s.io/kubernetes)
for values in charts/reeve/ci/*-values.yaml; do
    helm template reeve charts/reeve --kube-version "$kubernetes" --values "$values" \
        --set metrics.podMonitor.enabled=false |
        kubectl apply --server-side --force-conflicts --dry-run=server --validate=strict --filename - >/dev/null
done
echo 'the chart installs, upgrades, keeps its definitions and grants what it says'
