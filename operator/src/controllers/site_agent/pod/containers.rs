//! The two containers of a pod: one brings the supervisor, the other runs the agent under it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Probe, SecurityContext},
    apimachinery::pkg::util::intstr::IntOrString,
};
use reeve_crds::names;
use reeve_site_agent::{CHECKS_FILE, COMMAND, CONFIG_FILE, HEARTBEAT_FILE, Mode};

use super::{
    PodContext, SUPERVISOR_PORT, SUPERVISOR_PORT_NAME,
    volumes::{API_ACCESS, SUPERVISOR_DIRECTORY, mount, mounts},
};

impl PodContext<'_> {
    /// Copies the supervisor into the pod; upstream's image stays as it is.
    pub(super) fn installer(&self, image: &str) -> Container {
        let quantities = |cpu: &str, memory: &str| {
            let quantity =
                |text: &str| k8s_openapi::apimachinery::pkg::api::resource::Quantity(text.to_owned());
            BTreeMap::from([
                ("cpu".to_owned(), quantity(cpu)),
                ("memory".to_owned(), quantity(memory)),
            ])
        };
        Container {
            name: names::SUPERVISOR_INIT_CONTAINER.to_owned(),
            image: Some(image.to_owned()),
            image_pull_policy: self.settings.agents_pull_policy.clone(),
            command: Some(words(&["/reeve-supervise", "install", SUPERVISOR_DIRECTORY])),
            volume_mounts: Some(vec![mount("supervisor", SUPERVISOR_DIRECTORY, false)]),
            resources: Some(k8s_openapi::api::core::v1::ResourceRequirements {
                requests: Some(quantities("10m", "16Mi")),
                limits: Some(BTreeMap::from([(
                    "memory".to_owned(),
                    k8s_openapi::apimachinery::pkg::api::resource::Quantity("64Mi".to_owned()),
                )])),
                ..Default::default()
            }),
            security_context: Some(restricted()),
            ..Container::default()
        }
    }

    pub(super) fn agent(&self) -> Container {
        let image = self.valid.image_of(self.mode);
        Container {
            name: names::AGENT_CONTAINER.to_owned(),
            image: Some(image.reference(self.settings.image_registry.as_deref())),
            image_pull_policy: image.pull_policy.map(|policy| policy.as_str().to_owned()),
            command: Some(self.command()),
            env: Some(self.environment()),
            ports: Some(vec![ContainerPort {
                name: Some(SUPERVISOR_PORT_NAME.to_owned()),
                container_port: SUPERVISOR_PORT,
                protocol: Some("TCP".to_owned()),
                ..ContainerPort::default()
            }]),
            // The start probe is for the supervisor, which is there at once; the agent's own start, which takes
            // minutes at a slow Waldur, is the supervisor's to judge.
            startup_probe: Some(probe("/livez", 1, 60)),
            liveness_probe: Some(probe("/livez", 10, 6)),
            readiness_probe: Some(probe("/readyz", 5, 3)),
            resources: Some(self.mode.resources.clone()),
            security_context: Some(self.agent_security()),
            volume_mounts: Some(mounts(self.valid.slurm.as_ref())),
            ..Container::default()
        }
    }

    /// Root on request, in this container alone, and even then without capabilities.
    fn agent_security(&self) -> SecurityContext {
        let root = self.mode.runtime.root;
        SecurityContext {
            run_as_user: root.then_some(0),
            run_as_group: root.then_some(0),
            run_as_non_root: root.then_some(false),
            ..restricted()
        }
    }

    fn command(&self) -> Vec<String> {
        let supervisor = format!("{SUPERVISOR_DIRECTORY}/reeve-supervise");
        let grace = format!("{}s", self.grace());
        let times = self.valid.standbys.lease();
        let [duration, deadline, retry] =
            [times.duration, times.renew_deadline, times.retry_period].map(|seconds| format!("{seconds}s"));
        let port = format!("0.0.0.0:{SUPERVISOR_PORT}");
        let (token, ca) = (format!("{API_ACCESS}/token"), format!("{API_ACCESS}/ca.crt"));
        let mut command = words(&[
            &supervisor,
            "run",
            "--listen",
            &port,
            "--grace",
            &grace,
            "--quiesce",
        ]);
        command.extend(words(&[
            "--heartbeat-file",
            HEARTBEAT_FILE,
            "--heartbeat-max-age",
            "15m",
        ]));
        command.extend(self.check_flags());
        command.extend(words(&[
            "--lease-name",
            self.lease,
            "--lease-namespace",
            "$(POD_NAMESPACE)",
        ]));
        command.extend(words(&[
            "--lease-duration",
            &duration,
            "--renew-deadline",
            &deadline,
            "--retry-period",
            &retry,
        ]));
        if self.valid.standbys.any() {
            command.push("--ready-as-candidate".to_owned());
        }
        // Stable over restarts of the container, so that it goes on at once.
        command.extend(words(&["--identity", "$(POD_NAME)_$(POD_UID)"]));
        command.extend(words(&["--kube-token-file", &token, "--kube-ca-file", &ca]));
        command.extend(words(&[
            "--",
            COMMAND,
            "--mode",
            self.mode.part.mode.argument(),
            "--config-file",
            CONFIG_FILE,
        ]));
        command
    }

    /// Whom the supervisor asks whether the agent can work, and how often.
    fn check_flags(&self) -> Vec<String> {
        let checks = &self.settings.checks;
        let seconds = |duration: std::time::Duration| format!("{}s", duration.as_secs());
        let mut flags = words(&["--checks-file", CHECKS_FILE, "--check-period"]);
        flags.push(seconds(checks.check_period));
        if self.mode.part.mode == Mode::Events {
            flags.extend(["--events-timeout".to_owned(), seconds(checks.events_timeout)]);
        }
        flags
    }

    fn environment(&self) -> Vec<EnvVar> {
        let fields = [
            ("POD_NAME", "metadata.name"),
            ("POD_NAMESPACE", "metadata.namespace"),
            ("POD_UID", "metadata.uid"),
        ];
        let fields = fields.map(|(name, path)| EnvVar {
            name: name.to_owned(),
            value_from: Some(k8s_openapi::api::core::v1::EnvVarSource {
                field_ref: Some(k8s_openapi::api::core::v1::ObjectFieldSelector {
                    field_path: path.to_owned(),
                    api_version: None,
                }),
                ..Default::default()
            }),
            ..EnvVar::default()
        });
        let own = self.site.environment(self.mode.part.mode).into_iter();
        let own = own.map(|(name, value)| EnvVar {
            name: name.to_owned(),
            value: Some(value),
            value_from: None,
        });
        fields.into_iter().chain(own).collect()
    }
}

fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(words(&["ALL"])),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(SUPERVISOR_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
