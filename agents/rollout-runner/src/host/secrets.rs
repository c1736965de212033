//! Files with secrets on a host. New ones are put beside those in use and become live with the deployment; those that
//! are as they should be are left alone. Their content travels by SFTP only.

use reeve_rollout::step::{Instruction, SecretPath, SyncSecrets};

use super::{Host, Script};
use crate::{
    answer::{Answer, Outcome, Problem},
    digest::sha256,
    mounted,
    ssh::{Files, Output},
};

const COMPARE: &str = include_str!("scripts/compare.sh");
const SECRETS: &str = include_str!("scripts/secrets.sh");
const STAGE: &str = include_str!("scripts/stage.sh");

/// The most that is read of a file with secrets, in bytes.
pub(super) const LARGEST: u64 = 4 << 20;
/// Kibibytes that are free for a folder's files.
const FREE: &str = r#"df -Pk "$1" | awk -v mark="$reeve_mark" 'NR == 2 {print mark "free " $4}'"#;
const ANNOUNCE: &str = r#"for path in "$@"; do echo "$path" >>"$mine/staged"; done"#;

/// A file as it is wanted.
#[derive(Clone, Debug)]
struct Wanted<'a> {
    file: &'a SecretPath,
    content: Vec<u8>,
    checksum: String,
}

impl Host<'_> {
    /// Compares files with what they should be.
    pub async fn compare_secrets(&self, sync: &SyncSecrets) -> Outcome {
        let wanted = self.wanted(sync)?;
        let drift = self.drift(&wanted).await?;
        if drift.is_empty() {
            return Ok(self.as_they_should_be(&wanted));
        }
        Err(Problem::failed(
            "SecretsDiffer",
            format!(
                "host {}: {} of {} files are not as their Secrets say: {}; the next run puts them right",
                self.name(),
                drift.len(),
                wanted.len(),
                named(&drift)
            ),
        ))
    }

    /// Puts the files that differ beside the live ones.
    pub async fn sync_secrets(&self, sync: &SyncSecrets) -> Outcome {
        let wanted = self.wanted(sync)?;
        let drift = self.drift(&wanted).await?;
        if drift.is_empty() {
            return Ok(self.as_they_should_be(&wanted));
        }
        self.stage(&drift.iter().map(|(wanted, _)| *wanted).collect::<Vec<_>>())
            .await?;
        Ok(Answer::saying(format!(
            "host {}: {} of {} files differ and become live with the deployment: {}",
            self.name(),
            drift.len(),
            wanted.len(),
            named(&drift)
        )))
    }

    fn wanted<'a>(&self, sync: &'a SyncSecrets) -> Outcome<Vec<Wanted<'a>>> {
        let wanted = sync.files.iter().map(|source| {
            let content = mounted::read(&source.content_file)?;
            self.redactor.learn(&String::from_utf8_lossy(&content));
            let checksum = sha256(&content);
            Ok(Wanted {
                file: &source.file,
                content,
                checksum,
            })
        });
        wanted.collect()
    }

    async fn drift<'a, 'b>(&self, wanted: &'b [Wanted<'a>]) -> Outcome<Vec<(&'b Wanted<'a>, &'static str)>> {
        let paths = wanted.iter().map(|wanted| wanted.file.path.as_str());
        let found = self.look(&Script::of(&[COMPARE]).arguments(paths)).await?;
        Ok(drift(wanted, &found))
    }

    fn as_they_should_be(&self, wanted: &[Wanted<'_>]) -> Answer {
        Answer::saying(format!(
            "host {}: {} of {} files are as they should be",
            self.name(),
            wanted.len(),
            wanted.len()
        ))
    }

    async fn stage(&self, wanted: &[&Wanted<'_>]) -> Outcome<()> {
        // Named before they come, so that they are taken away whatever happens in between.
        let announced = wanted.iter().map(|wanted| wanted.file.path.as_str());
        let output = self
            .fenced(&Script::of(&[ANNOUNCE]).arguments(announced), false)
            .await?;
        if !output.ok() {
            return Err(self.failure(&output));
        }
        let files = Files::of(&self.connection).await?;
        let mut arguments = Vec::new();
        for wanted in wanted {
            let uploaded = self.upload_path(&wanted.file.path);
            if let Err(problem) = files.write(&uploaded, &wanted.content).await {
                return Err(self.without_room(problem, wanted).await);
            }
            arguments.extend([
                wanted.file.path.clone(),
                uploaded,
                wanted.checksum.clone(),
                wanted.file.mode.clone(),
                wanted.file.owner.clone().unwrap_or_default(),
            ]);
        }
        let body = self
            .script(&[SECRETS, STAGE])
            .arguments(arguments.iter().map(String::as_str));
        let output = self.fenced(&body, true).await?;
        match output.code {
            Some(0) => Ok(()),
            Some(32) => Err(Problem::failed(
                "OwnerRefused",
                format!(
                    "host {}: user {} cannot give a file that owner or mode: {}; only root can give files away",
                    self.name(),
                    self.access().user,
                    output.tail(1)
                ),
            )),
            _ => Err(Problem::errored(
                "Damaged",
                format!(
                    "host {}: a file did not arrive as it was sent: {}",
                    self.name(),
                    output.tail(1)
                ),
            )),
        }
    }

    /// SFTP has no word for a full disk, so the host is asked whether it is that.
    async fn without_room(&self, problem: Problem, wanted: &Wanted<'_>) -> Problem {
        let path = wanted.file.path.as_str();
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        let asked = self.look(&Script::of(&[FREE]).arguments([folder])).await;
        let free = asked
            .ok()
            .and_then(|output| output.value("free")?.parse::<u64>().ok());
        let needed = u64::try_from(wanted.content.len()).unwrap_or(u64::MAX);
        if free.is_none_or(|free| free * 1024 > needed) {
            return problem;
        }
        Problem::failed(
            "DiskFull",
            format!("host {}: the disk of {folder} is full: make room", self.name()),
        )
    }

    /// Beside the live file, and of this attempt and pod alone.
    fn upload_path(&self, path: &str) -> String {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Instruction { run, attempt, .. } = self.instruction;
        format!("{folder}/.{name}.reeve-{run}.{}-{attempt}.part", self.pod)
    }

    /// Lets the redactor know the files that a deployment uses, so that no log shows what stands in them.
    pub(super) async fn learn_secrets(&self, paths: &[SecretPath]) -> Outcome<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let files = Files::of(&self.connection).await?;
        for SecretPath { path, .. } in paths {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let staged = format!("{folder}/.{name}.reeve-{}.new", self.instruction.run);
            for path in [staged.as_str(), path] {
                if let Some(content) = files.read(path, LARGEST).await? {
                    self.redactor.learn(&String::from_utf8_lossy(&content));
                }
            }
        }
        Ok(())
    }
}

/// Files with what is wrong with each: `/srv/.env (content)`.
fn named(drift: &[(&Wanted<'_>, &str)]) -> String {
    let names = drift
        .iter()
        .map(|(wanted, why)| format!("{} ({why})", wanted.file.path));
    names.collect::<Vec<_>>().join(", ")
}

/// The files that are not as they should be, and why.
fn drift<'a, 'b>(wanted: &'b [Wanted<'a>], found: &Output) -> Vec<(&'b Wanted<'a>, &'static str)> {
    let me = found.value("me").unwrap_or_default();
    let differs = |wanted: &Wanted<'_>, line: &str| {
        let [checksum, mode, owner] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Some("missing");
        };
        if checksum != wanted.checksum {
            Some("content")
        } else if mode.trim_start_matches('0') != wanted.file.mode.trim_start_matches('0') {
            Some("mode")
        } else if !owned(owner, wanted.file.owner.as_deref(), me) {
            Some("owner")
        } else {
            None
        }
    };
    let lines = found.values("file").chain(std::iter::repeat("absent"));
    wanted
        .iter()
        .zip(lines)
        .filter_map(|(wanted, line)| Some((wanted, differs(wanted, line)?)))
        .collect()
}

/// Whether `USER:GROUP` is the owner wanted, whose group may be left open.
fn owned(found: &str, wanted: Option<&str>, me: &str) -> bool {
    let user = |owner: &str| owner.split(':').next().unwrap_or_default().to_owned();
    match wanted {
        None => user(found) == user(me),
        Some(wanted) if wanted.contains(':') => found == wanted,
        Some(wanted) => user(found) == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_differ_are_named_with_what_differs() {
        let path = |owner: Option<&str>| SecretPath {
            path: "/srv/.env".into(),
            mode: "0640".into(),
            owner: owner.map(str::to_owned),
        };
        for (line, owner, why) in [
            ("aa 640 root:root", None, None),
            ("aa 640 root:docker", Some("root"), None),
            ("aa 640 root:docker", Some("root:root"), Some("owner")),
            ("aa 640 app:app", None, Some("owner")),
            ("aa 644 root:root", None, Some("mode")),
            ("bb 640 root:root", None, Some("content")),
            ("absent", None, Some("missing")),
        ] {
            let file = path(owner);
            let wanted = [Wanted {
                file: &file,
                content: Vec::new(),
                checksum: "aa".into(),
            }];
            let found = Output {
                stdout: format!("reeve: file {line}\nreeve: me root:root\n"),
                ..Output::marked("reeve: ")
            };
            assert_eq!(drift(&wanted, &found).first().map(|(_, why)| *why), why, "{line}");
        }
    }
}
