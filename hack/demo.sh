#!/usr/bin/env bash
# The demo: a real Kubernetes on this machine, Reeve installed by Helm, a fake Waldur, and the upstream site agent
# at work. With CLUSTER=existing and KUBECONFIG set, the same on that cluster. usage: hack/demo.sh up|down
set -euo pipefail
source "$(dirname "$0")/environment.sh"
cd "$root"

export REEVE_CLUSTER=reeve-demo
images=(operator agents fake-waldur site-agent)
namespace=reeve-system

say() { printf '\n==> %s\n' "$*"; }

if [ "${CLUSTER:-local}" = existing ]; then
    : "${KUBECONFIG:?set KUBECONFIG to the cluster to use}"
    kubectl() { "$kube" kubectl "$@"; }
    helm() { "$kube" helm "$@"; }
else
    kubectl() { reeve_cluster exec -- kubectl "$@"; }
    helm() { reeve_cluster exec -- helm "$@"; }
fi

# Goes on only after a typed yes: ask QUESTION
ask() {
    local answer=''
    printf '%s\nType yes to go on: ' "$1"
    read -r answer || true
    [ "$answer" = yes ] || { echo 'nothing was changed' >&2; exit 1; }
}

# Sets `target` to what KUBECONFIG points at.
identify_existing() {
    local context server
    kube=$(reeve_cluster kube)
    context=$(kubectl config current-context)
    server=$(kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}')
    target="context $context, $server"
}

prepare_local() {
    say 'installing what is missing'
    hack/setup.sh
    say 'building Kubernetes (minutes, once)'
    reeve_cluster kube
    say 'building the images'
    reeve_cluster images --only "${images[@]}"
    say 'starting the cluster'
    reeve_cluster up
    reeve_cluster load "${images[@]}"
}

prepare_existing() {
    say 'building helm and kubectl (minutes, once)'
    identify_existing
    ask "This installs Reeve and a fake Waldur into $target.
Its nodes must have, or be able to pull, these images; make images writes them as archives:
  reeve/operator:0.1.0  reeve/agents:0.1.0  reeve.local/fake-waldur:dev  opennode/waldur-site-agent:1.0.7
The last is a stand-in with fake SLURM commands here; with upstream's own, the order mode has no backend."
}

install() {
    say 'installing the operator'
    helm upgrade --install reeve charts/reeve --namespace "$namespace" --create-namespace --wait --timeout 3m
    say 'starting the fake Waldur'
    kubectl apply --filename e2e/demo/
    kubectl rollout status deployment/waldur --namespace waldur --timeout 2m
    say 'applying examples/site-agent/'
    kubectl apply --filename examples/site-agent/
}

# One line per SiteAgent, for jq.
readiness='.items[] | .metadata.name as $name
    | (.status.conditions // []) | map(select(.type == "Ready"))[0] // {status: "Unknown"}
    | "\($name): Ready=\(.status) \(.reason // "") \(.message // "")"'

# Prints each change on the way to Ready, and fails after five minutes.
wait_until_ready() {
    local now before='' deadline=$((SECONDS + 300))
    say 'waiting until every SiteAgent is Ready'
    while :; do
        now=$(kubectl get siteagents --all-namespaces --output json | jq --raw-output "$readiness")
        if [ "$now" != "$before" ]; then
            printf '  %3d s  %s\n' "$SECONDS" "${now//$'\n'/$'\n         '}"
            before=$now
        fi
        if [ -n "$now" ] && ! grep -qv ': Ready=True ' <<<"$now"; then
            return
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            kubectl describe siteagents --all-namespaces
            kubectl get pods --all-namespaces
            echo 'not Ready after 5 minutes; see above' >&2
            return 1
        fi
        sleep 1
    done
}

show() {
    say 'kubectl get siteagents,pods,leases --namespace hpc'
    kubectl get siteagents,pods,leases --namespace hpc
    local run='kubectl'
    if [ "${CLUSTER:-local}" != existing ]; then
        run="reeve-cluster exec -- kubectl"
        printf '\nThe cluster lives in a network namespace of its own:\n'
        printf '  export REEVE_CLUSTER=%s PATH=%s:%s\n' "$REEVE_CLUSTER" "$CARGO_TARGET_DIR/debug" '$PATH'
    fi
    cat <<EOF

What to try next:
  $run -n waldur exec deploy/waldur -- /fake-waldur order create --name mine --limit cpu=10 --wait 360
  $run -n waldur exec deploy/waldur -- /fake-waldur record   what Waldur saw
  $run -n hpc describe siteagent site                        the conditions, and each mode
  $run -n hpc logs deployment/site-orders                    the agent under its supervisor
  $run -n hpc edit siteagent site                            a mistake is refused with a sentence
  $run -n $namespace delete pods --all                    the agents do not notice
  make demo-down                                             remove all of it
EOF
}

remove_existing() {
    identify_existing
    ask "This removes the example, the fake Waldur, Reeve and every SiteAgent from $target."
    kubectl delete --filename examples/site-agent/ --ignore-not-found
    kubectl delete --filename e2e/demo/ --ignore-not-found
    kubectl delete customresourcedefinition siteagents.reeve.dev --ignore-not-found
    helm uninstall reeve --namespace "$namespace" --ignore-not-found
    kubectl delete namespace "$namespace" --ignore-not-found
}

# One command a line: within `a && b`, bash would not stop at a failing command of a.
case ${1:-}-${CLUSTER:=local} in
up-local | up-existing)
    "prepare_$CLUSTER"
    install
    wait_until_ready
    show
    ;;
down-existing) remove_existing ;;
down-local) reeve_cluster down ;;
*)
    echo 'usage: hack/demo.sh up|down, with CLUSTER=local (default) or existing' >&2
    exit 2
    ;;
esac
