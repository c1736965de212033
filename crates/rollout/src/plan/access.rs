//! How the targets of a plan are reached, for the runner: mounted files in the place of references, revision and commit
//! in the place of their placeholders.

use std::collections::BTreeSet;

use reeve_api_types::{SecretKeyReference, Source};
use serde_json::Value;

use super::Plan;
use crate::{
    spec::{Compose, JumpHost, KubernetesTarget, SetField, Ssh, Target},
    status::Run,
    step::{ComposeHost, Field, HostAccess, Jump, KubernetesFields, Mount, TargetAccess, TargetKind},
};

/// Ways to targets, and the files that they need so far.
pub(super) struct Access<'a> {
    plan: &'a Plan,
    run: &'a Run,
    mounts: BTreeSet<Mount>,
}

impl<'a> Access<'a> {
    pub(super) fn new(plan: &'a Plan, run: &'a Run) -> Self {
        Self {
            plan,
            run,
            mounts: BTreeSet::new(),
        }
    }

    pub(super) fn into_mounts(self) -> Vec<Mount> {
        self.mounts.into_iter().collect()
    }

    /// The file that `source` is mounted at.
    pub(super) fn mount(&mut self, source: Source) -> String {
        let mount = Mount::of(source);
        let path = mount.path.clone();
        self.mounts.insert(mount);
        path
    }

    /// The file that a key of a Secret is mounted at.
    pub(super) fn file(&mut self, reference: &SecretKeyReference) -> String {
        self.mount(reference.into())
    }

    /// `text` with revision and commit in it. A commit that is not known yet leaves its placeholder.
    pub(super) fn filled(&self, text: &str, revision: &str) -> String {
        let text = text.replace("{{revision}}", revision);
        match self.run.commit_of(self.plan, revision) {
            Some(commit) => text.replace("{{commit}}", commit),
            None => text,
        }
    }

    /// The way to a target.
    pub(super) fn target(&mut self, target: &Target) -> TargetAccess {
        let kind = match (&target.ssh, &target.compose, &target.kubernetes) {
            (Some(ssh), Some(compose), _) => TargetKind::Compose(self.host(target, ssh, compose)),
            (_, _, Some(kubernetes)) => TargetKind::Kubernetes(self.fields(target, kubernetes)),
            // Validation lets no other target pass.
            _ => TargetKind::Kubernetes(KubernetesFields { set: Vec::new() }),
        };
        TargetAccess {
            name: target.name.clone(),
            kind,
        }
    }

    fn host(&mut self, target: &Target, ssh: &Ssh, compose: &Compose) -> ComposeHost {
        let known = self
            .run
            .target(&target.name)
            .and_then(|status| status.host_key.clone());
        let host = HostAccess {
            host: ssh.host.clone(),
            port: ssh.port,
            user: ssh.user.clone(),
            key_file: self.file(&ssh.key_ref),
            passphrase_file: ssh.passphrase_ref.as_ref().map(|reference| self.file(reference)),
            known_hosts_file: ssh.known_hosts_ref.as_ref().map(|reference| self.file(reference)),
            trust_on_first_use: ssh.trust_on_first_use,
            host_key: known,
            jump: ssh.jump.as_ref().map(|jump| self.jump(ssh, jump)),
            connect_timeout: ssh.connect_timeout.get().as_secs(),
        };
        ComposeHost {
            host,
            compose: compose.clone(),
        }
    }

    fn jump(&mut self, ssh: &Ssh, jump: &JumpHost) -> Jump {
        let passphrase = ssh.passphrase_ref.as_ref().filter(|_| jump.key_ref.is_none());
        let known_hosts = jump.known_hosts_ref.as_ref().or(ssh.known_hosts_ref.as_ref());
        Jump {
            host: jump.host.clone(),
            port: jump.port,
            user: jump.user.clone(),
            key_file: self.file(jump.key_ref.as_ref().unwrap_or(&ssh.key_ref)),
            passphrase_file: passphrase.map(|reference| self.file(reference)),
            known_hosts_file: known_hosts.map(|reference| self.file(reference)),
            trust_on_first_use: ssh.trust_on_first_use,
        }
    }

    fn fields(&self, target: &Target, kubernetes: &KubernetesTarget) -> KubernetesFields {
        let revision = self.plan.revision(target);
        let field = |set: &SetField| Field {
            api_version: set.api_version.clone(),
            kind: set.kind.clone(),
            namespace: set
                .namespace
                .clone()
                .unwrap_or_else(|| self.plan.namespace.clone()),
            name: set.name.clone(),
            path: set.path.clone(),
            value: self.value(&set.value, revision),
        };
        KubernetesFields {
            set: kubernetes.set.iter().map(field).collect(),
        }
    }

    /// A value with revision and commit in all its texts.
    fn value(&self, value: &Value, revision: &str) -> Value {
        match value {
            Value::String(text) => Value::String(self.filled(text, revision)),
            Value::Array(items) => items.iter().map(|item| self.value(item, revision)).collect(),
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.value(value, revision)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }
}
