//! Which Secrets and `ConfigMaps` a rollout needs, with the field that names each and what its content has to be.

use reeve_api_types::{BundleReference, ContentUse, FieldPath, SecretKeyReference, Source};

use crate::spec::{Command, HealthCheck, Rollout, Ssh, Target};

/// What the content of a reference has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Anything.
    Bytes,
    /// Text that is not empty.
    Text,
    /// A private key in PEM.
    PrivateKey,
    /// Public keys of hosts, in the format of `known_hosts`.
    KnownHosts,
    /// Certificates in PEM.
    Certificates,
    /// `USER@REALM!TOKENID=UUID`.
    ProxmoxToken,
    /// A URL of the web.
    Url,
}

/// Everything that `rollout` refers to, with the field that does. `root` is the path of the spec.
pub fn references(rollout: &Rollout, root: &FieldPath) -> Vec<ContentUse> {
    uses(rollout, root).into_iter().map(|(used, _)| used).collect()
}

/// The same, with what the content has to be.
pub(crate) fn uses(rollout: &Rollout, root: &FieldPath) -> Vec<(ContentUse, Content)> {
    let mut found = Found(Vec::new());
    for (index, target) in rollout.targets.iter().enumerate() {
        found.target(target, &root.field("targets").index(index));
    }
    if let Some(secrets) = &rollout.secrets_sync {
        let path = root.field("secretsSync");
        for (index, file) in secrets.files.iter().flatten().enumerate() {
            let path = path.field("files").index(index).field("secretRef");
            found.secret(path, &file.secret_ref, Content::Bytes);
        }
        found.command(secrets.command.as_ref(), &path.field("command"));
    }
    for (index, snapshot) in rollout.snapshots.iter().enumerate() {
        let path = root.field("snapshots").index(index);
        if let Some(proxmox) = &snapshot.proxmox {
            let path = path.field("proxmox");
            found.secret(path.field("tokenRef"), &proxmox.token_ref, Content::ProxmoxToken);
            found.bundle(path.field("caRef"), proxmox.ca_ref.as_ref());
        }
        let create = snapshot.commands.as_ref().map(|commands| &commands.create);
        found.command(create, &path.field("commands").field("create"));
    }
    if let Some(tests) = &rollout.tests {
        found.command(Some(&tests.command), &root.field("tests").field("command"));
    }
    let path = root.field("verification");
    found.checks(&rollout.verification.health_checks, &path);
    found.command(rollout.verification.command.as_ref(), &path.field("command"));
    found.notifications(rollout, root);
    found.0
}

struct Found(Vec<(ContentUse, Content)>);

impl Found {
    fn add(&mut self, path: FieldPath, source: Source, content: Content) {
        self.0.push((ContentUse { path, source }, content));
    }

    fn secret(&mut self, path: FieldPath, reference: &SecretKeyReference, content: Content) {
        self.add(path, reference.into(), content);
    }

    fn optional(&mut self, path: FieldPath, reference: Option<&SecretKeyReference>, content: Content) {
        if let Some(reference) = reference {
            self.secret(path, reference, content);
        }
    }

    fn bundle(&mut self, path: FieldPath, reference: Option<&BundleReference>) {
        if let Some(reference) = reference {
            self.add(path, reference.into(), Content::Certificates);
        }
    }

    fn target(&mut self, target: &Target, path: &FieldPath) {
        if let Some(ssh) = &target.ssh {
            self.ssh(ssh, &path.field("ssh"));
        }
        self.checks(&target.health_checks, path);
    }

    fn ssh(&mut self, ssh: &Ssh, path: &FieldPath) {
        self.secret(path.field("keyRef"), &ssh.key_ref, Content::PrivateKey);
        self.optional(
            path.field("passphraseRef"),
            ssh.passphrase_ref.as_ref(),
            Content::Text,
        );
        self.optional(
            path.field("knownHostsRef"),
            ssh.known_hosts_ref.as_ref(),
            Content::KnownHosts,
        );
        if let Some(jump) = &ssh.jump {
            let path = path.field("jump");
            self.optional(path.field("keyRef"), jump.key_ref.as_ref(), Content::PrivateKey);
            self.optional(
                path.field("knownHostsRef"),
                jump.known_hosts_ref.as_ref(),
                Content::KnownHosts,
            );
        }
    }

    fn checks(&mut self, checks: &[HealthCheck], path: &FieldPath) {
        for (index, check) in checks.iter().enumerate() {
            let bundle = check.http.as_ref().and_then(|http| http.ca_ref.as_ref());
            let path = path
                .field("healthChecks")
                .index(index)
                .field("http")
                .field("caRef");
            self.bundle(path, bundle);
        }
    }

    fn command(&mut self, command: Option<&Command>, path: &FieldPath) {
        for (name, reference) in command.into_iter().flat_map(|command| &command.secrets) {
            self.secret(path.field("secrets").field(name), reference, Content::Bytes);
        }
    }

    fn notifications(&mut self, rollout: &Rollout, root: &FieldPath) {
        for (index, receiver) in rollout.notifications.iter().enumerate() {
            let path = root.field("notifications").index(index);
            self.bundle(path.field("caRef"), receiver.ca_ref.as_ref());
            if let Some(telegram) = &receiver.telegram {
                let path = path.field("telegram").field("tokenRef");
                self.secret(path, &telegram.token_ref, Content::Text);
            }
            if let Some(slack) = &receiver.slack {
                self.secret(path.field("slack").field("urlRef"), &slack.url_ref, Content::Url);
            }
            if let Some(webhook) = &receiver.webhook {
                let path = path.field("webhook");
                self.optional(path.field("urlRef"), webhook.url_ref.as_ref(), Content::Url);
                self.optional(
                    path.field("hmacKeyRef"),
                    webhook.hmac_key_ref.as_ref(),
                    Content::Text,
                );
            }
        }
    }
}
