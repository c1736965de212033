{{/* Names, labels and image references that several templates share. */}}

{{- define "reeve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{/* Prefix of object names: at most 46 characters, so that every suffix fits into 63. */}}
{{- define "reeve.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else if contains (include "reeve.name" .) .Release.Name }}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "reeve.name" .) | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The operator's objects: Deployment, ServiceAccount, roles, Lease. */}}
{{- define "reeve.operator" -}}
{{- printf "%s-operator" (include "reeve.fullname" .) }}
{{- end }}

{{- define "reeve.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "reeve.operator" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name the account to use, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "reeve.selectorLabels" -}}
app.kubernetes.io/name: {{ include "reeve.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "reeve.labels" -}}
{{ include "reeve.selectorLabels" . }}
app.kubernetes.io/part-of: reeve
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image reference: include "reeve.image" (list $ .Values.image). The digest decides when both are given. */}}
{{- define "reeve.image" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- $repository := $image.repository }}
{{- with $root.Values.global.imageRegistry }}
{{- $parts := splitList "/" $repository }}
{{- /* The rule of image references: a first part with a dot or a port, or localhost, is a registry. */}}
{{- if and (gt (len $parts) 1) (or (regexMatch "[.:]" (first $parts)) (eq (first $parts) "localhost")) }}
{{- $repository = rest $parts | join "/" }}
{{- end }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default $root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* The milliseconds of a duration: include "reeve.milliseconds" "1m30s". */}}
{{- define "reeve.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $sum = add $sum (mul (regexReplaceAll "^0+([0-9])" (trimSuffix $unit .) "${1}" | int64) (get $units $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* Ends with an error when values do not go together. The operator would refuse most of them too, but in its log. */}}
{{- define "reeve.consistent" -}}
{{- with .Values.leaderElection }}
{{- if and (gt (int $.Values.replicas) 1) (not .enabled) }}
{{- fail "leaderElection.enabled: false needs replicas: 1; two operators without election fight over every object" }}
{{- end }}
{{- $lease := include "reeve.milliseconds" .leaseDuration | int64 }}
{{- $deadline := include "reeve.milliseconds" .renewDeadline | int64 }}
{{- $retry := include "reeve.milliseconds" .retryPeriod | int64 }}
{{- if mod $lease 1000 }}
{{- fail (printf "leaderElection.leaseDuration: %s is not in whole seconds, which is what a Lease holds; write 15s" .leaseDuration) }}
{{- end }}
{{- if ge $deadline $lease }}
{{- fail (printf "leaderElection.renewDeadline: %s must be shorter than leaseDuration (%s), or two operators lead at once; 15s and 10s go together" .renewDeadline .leaseDuration) }}
{{- end }}
{{- if ge (mul $retry 12) (mul $deadline 10) }}
{{- fail (printf "leaderElection.retryPeriod: 1.2 times %s must be shorter than renewDeadline (%s), or the lead is lost before a second try; 10s and 2s go together" .retryPeriod .renewDeadline) }}
{{- end }}
{{- end }}
{{- with .Values.operator }}
{{- if gt (include "reeve.milliseconds" .callTimeout | int64) (include "reeve.milliseconds" .passTimeout | int64) }}
{{- fail (printf "operator.passTimeout: %s must not be shorter than callTimeout (%s): a pass is made of calls" .passTimeout .callTimeout) }}
{{- end }}
{{- end }}
{{- $labels := include "reeve.labels" . | fromYaml }}
{{- range $key, $_ := .Values.podLabels }}
{{- if hasKey $labels $key }}
{{- fail (printf "podLabels: %s is the chart's own, by which the pods are found; remove it" $key) }}
{{- end }}
{{- end }}
{{- if hasKey .Values.podAnnotations "kubectl.kubernetes.io/default-container" }}
{{- fail "podAnnotations: kubectl.kubernetes.io/default-container is the chart's own; remove it" }}
{{- end }}
{{- end }}
