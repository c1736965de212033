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
