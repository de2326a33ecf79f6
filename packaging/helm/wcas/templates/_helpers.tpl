{{- define "wcas.labels" -}}
app.kubernetes.io/name: wcas
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wcas.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "wcas.container" -}}
image: {{ include "wcas.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
env:
  - { name: WCAS_STORE, value: /store/wcas }
{{- with .Values.secrets }}
envFrom:
{{- range . }}
  - secretRef: { name: {{ . | quote }} }
{{- end }}
{{- end }}
volumeMounts:
  - { name: store, mountPath: /store }
  - { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "wcas.security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}
