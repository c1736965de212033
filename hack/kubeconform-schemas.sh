#!/usr/bin/env bash
# Writes the JSON schemas that kubeconform needs into DIRECTORY, one file per kind, from the OpenAPI documents in
# the Kubernetes module that e2e/kube pins: kubeconform's own come from a web site. Objects are closed, so a
# misspelt field is an error. (kubeconform takes the version for the group of core kinds.)
# usage: hack/kubeconform-schemas.sh DIRECTORY
set -euo pipefail
source "$(dirname "$0")/environment.sh"

directory=$1
apis='api__v1 apis__apps__v1 apis__policy__v1 apis__networking.k8s.io__v1 apis__rbac.authorization.k8s.io__v1
apis__apiextensions.k8s.io__v1 apis__admissionregistration.k8s.io__v1'

source_directory=$(go -C "$root/e2e/kube" list -m -f '{{.Dir}}' k8s.io/kubernetes)
mkdir -p "$directory"
for api in $apis; do
    jq -c '
        .components.schemas
        |= map_values(if has("properties") and (has("additionalProperties") | not)
                      then .additionalProperties = false else . end)
        | .components as $components
        | $components.schemas | to_entries[]
        | .key as $name | .value["x-kubernetes-group-version-kind"] // [] | select(length == 1) | .[0]
        | select(.kind | endswith("List") | not)
        | {file: ("\(.kind)-\(if .group == "" then .version else .group end)-\(.version).json" | ascii_downcase),
           schema: {"$ref": "#/components/schemas/\($name)", components: $components}}
    ' "$source_directory/api/openapi-spec/v3/${api}_openapi.json" |
        while IFS= read -r line; do
            file=$(jq -r .file <<<"$line")
            jq -c .schema <<<"$line" >"$directory/$file"
        done
done
