//! Files with secrets that targets need, kept in Kubernetes Secrets and brought to the hosts before a deployment.

use reeve_api_types::{Duration, SecretKeyReference, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Command, Target};
use crate::schema::{NAME, PATH, exactly_one, file};

/// Files, or a command of your own that brings them. Exactly one of `files` and `command`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(&["files", "command"], "set files, or command, and not both")]))]
pub struct SecretsSync {
    /// The files. They are put beside the live ones, and become live when their target is deployed; a run that ends
    /// before takes them away again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub files: Option<Vec<SecretFile>>,
    /// A command. What it brings is live at once, so a staging failure does not spare production from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// How long it may take for one target, from 10s to 1h. Default: 2m.
    #[serde(default = "super::two_minutes")]
    #[schemars(extend("x-kubernetes-validations" = [
        schema::duration_between("10s", "1h", "write a time from 10s to 1h, such as 2m")]))]
    pub timeout: Duration,
}

/// A file on hosts whose content is a key of a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretFile {
    /// Secret key with the content.
    pub secret_ref: SecretKeyReference,
    /// The file, absolute.
    #[schemars(length(min = 2, max = 1024), regex(pattern = PATH), extend("x-kubernetes-validations" = [file()]))]
    pub path: String,
    /// Its mode, octal. Default: `0600`.
    #[serde(default = "owner_only")]
    #[schemars(length(min = 3, max = 4), regex(pattern = "^0?[0-7]{3}$"))]
    pub mode: String,
    /// Its owner, `user` or `user:group`. Default: the user of the SSH connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 65),
        regex(pattern = r"^[a-z_][a-z0-9_.-]*(:[a-z_][a-z0-9_.-]*)?$")
    )]
    pub owner: Option<String>,
    /// The targets that get it, all of kind `ssh`. Default: all of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 32), regex(pattern = NAME)))]
    pub targets: Option<Vec<String>>,
}

impl SecretsSync {
    /// The files that `target` gets.
    pub(crate) fn files_of<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a SecretFile> {
        let files = self.files.iter().flatten().filter(|_| target.ssh.is_some());
        files.filter(|file| {
            file.targets
                .as_ref()
                .is_none_or(|names| names.contains(&target.name))
        })
    }
}

fn owner_only() -> String {
    "0600".to_owned()
}
