//! Whether a host can be deployed to. Everything that is missing is told at once.

use std::time::{SystemTime, UNIX_EPOCH};

use reeve_rollout::step::Preflight;

use super::{Host, Script, commit::commit};
use crate::{
    answer::{Answer, Outcome, Problem},
    ssh::Output,
};

const LOOK: &str = include_str!("scripts/preflight.sh");
const RESOLVE: &str = include_str!("scripts/resolve.sh");
const COMPOSE: &str = include_str!("scripts/compose.sh");
const GIB: u64 = 1 << 30;
/// The exit code by which it is told that the commit agreed on is not of the revision.
const OTHER: u32 = 22;
/// What an instruction says, in messages.
const TOLD: &str = "the instruction names commit";

impl Host<'_> {
    /// Looks at the host, takes its lock unless it only looks, resolves the revision.
    pub async fn preflight(&self, wanted: &Preflight) -> Outcome {
        if let Some(agreed) = &wanted.commit {
            commit(agreed, TOLD)?;
        }
        let before = seconds();
        let found = self
            .look(&Script::of(&[LOOK]).set("directory", self.directory()))
            .await?;
        let problems = missing(&found, wanted, before, seconds(), self.directory());
        if let Some((reason, _)) = problems.first() {
            let sentences: Vec<_> = problems.iter().map(|(_, sentence)| sentence.as_str()).collect();
            let message = format!("host {}: {}", self.name(), sentences.join("; "));
            return Err(Problem::failed(reason, message));
        }
        self.learn_variables().await;
        let commit = if wanted.look_only {
            self.look_at_lock().await?;
            self.resolve(wanted).await?
        } else {
            self.take_lock().await?;
            // From here on a failure leaves the lock held.
            self.resolve(wanted).await.map_err(Problem::touched)?
        };
        Ok(Answer {
            message: format!(
                "host {} is ready: Compose {}, {} at commit {commit}",
                self.name(),
                found.value("compose").unwrap_or_default(),
                wanted.revision
            ),
            commit: Some(commit),
            ..Answer::default()
        })
    }

    /// The commit that the revision stands for on this host, or the one agreed on where it is of this revision.
    async fn resolve(&self, wanted: &Preflight) -> Outcome<String> {
        let body = self
            .script(&[COMPOSE, RESOLVE])
            .set("revision", &wanted.revision)
            .set("commit", wanted.commit.as_deref().unwrap_or_default());
        let resolved = self.fenced(&body, false).await?;
        if resolved.ok() {
            let whose = format!(
                "host {} has resolved revision {} to",
                self.name(),
                wanted.revision
            );
            let found = resolved.value("commit").unwrap_or_default();
            return commit(found, &whose).map(str::to_owned);
        }
        match (resolved.code, &wanted.commit) {
            (Some(OTHER), Some(agreed)) => Err(self.other_revision(wanted, agreed, &resolved)),
            _ => Err(self.failure(&resolved)),
        }
    }

    fn other_revision(&self, wanted: &Preflight, agreed: &str, resolved: &Output) -> Problem {
        let message = format!(
            "host {}: revision {} of remote {} is at {} and does not contain commit {agreed}, which the run has \
             resolved it to on another host; see that all hosts fetch from the same repository and that nobody has \
             moved the revision, then begin another run",
            self.name(),
            wanted.revision,
            self.target.compose.remote,
            resolved.value("found").unwrap_or("another commit")
        );
        Problem::failed("OtherRevision", message)
    }
}

/// What is wrong with a host, each with its remedy.
fn missing(
    found: &Output,
    wanted: &Preflight,
    before: u64,
    after: u64,
    directory: &str,
) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let tools: Vec<_> = found.values("missing").collect();
    if !tools.is_empty() {
        problems.push(("MissingProgram", format!("install {}", tools.join(", "))));
    }
    if found.value("directory").is_none() {
        problems.push((
            "NoFolder",
            format!("there is no folder {directory}: clone the repository there once"),
        ));
    } else if found.value("repository").is_none() {
        let said: Vec<_> = found.values("git").collect();
        problems.push((
            "NoRepository",
            format!(
                "{directory} is no working tree of Git that this user may use: {}",
                said.join(" ")
            ),
        ));
    }
    if let Some(error) = found.value("docker-error") {
        problems.push((
            "NoDocker",
            format!("Docker does not answer this user ({error}): start it with systemctl start docker, or add the user to group docker"),
        ));
    } else if found.value("compose").is_none() {
        problems.push((
            "NoCompose",
            "there is no Compose: install docker-compose-plugin (v2) or docker-compose (v1)".to_owned(),
        ));
    }
    for (key, folder) in [
        ("free-directory", directory),
        ("free-docker", found.value("docker").unwrap_or("Docker's folder")),
    ] {
        let free = found
            .value(key)
            .and_then(|kibibytes| kibibytes.parse::<u64>().ok());
        if let Some(free) = free
            .map(|kibibytes| kibibytes * 1024)
            .filter(|free| *free < wanted.min_free_disk)
        {
            problems.push((
                "DiskFull",
                format!(
                    "{folder} has {} GiB free and needs {}: make room, for example with docker system prune, or lower \
                     preflight.minFreeDisk",
                    tenths(free),
                    tenths(wanted.min_free_disk)
                ),
            ));
        }
    }
    let clock = found.value("clock").and_then(|clock| clock.parse::<u64>().ok());
    let skew = clock.map_or(0, |clock| {
        before.saturating_sub(clock).max(clock.saturating_sub(after))
    });
    if skew > wanted.max_clock_skew {
        problems.push((
            "ClockSkew",
            format!(
                "its clock is {skew} s off and {} are allowed: let it follow a time server",
                wanted.max_clock_skew
            ),
        ));
    }
    problems
}

fn tenths(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / u128::from(GIB);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(changes: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("directory", "yes"),
            ("repository", "yes"),
            ("free-directory", "20971520"),
            ("docker", "/var/lib/docker"),
            ("free-docker", "20971520"),
            ("compose", "v2 2.20.0"),
            ("clock", "1000"),
        ];
        for (key, value) in changes {
            lines.retain(|(present, _)| present != key);
            if !value.is_empty() {
                lines.push((key, value));
            }
        }
        let stdout: Vec<_> = lines
            .iter()
            .map(|(key, value)| format!("reeve: {key} {value}\n"))
            .collect();
        let output = Output {
            code: Some(0),
            stdout: stdout.concat(),
            ..Output::marked("reeve: ")
        };
        let wanted = Preflight {
            revision: "main".into(),
            commit: None,
            min_free_disk: 10 * GIB,
            max_clock_skew: 30,
            look_only: false,
        };
        missing(&output, &wanted, 1000, 1002, "/srv/app")
    }

    #[test]
    fn a_host_that_has_everything_is_right() {
        assert_eq!(look(&[]), []);
    }

    #[test]
    fn what_a_host_lacks_is_named_with_its_remedy() {
        for (change, reason, words) in [
            (("missing", "flock"), "MissingProgram", "install flock"),
            (("directory", ""), "NoFolder", "clone"),
            (("repository", ""), "NoRepository", "/srv/app"),
            (("docker-error", "permission denied"), "NoDocker", "group docker"),
            (("compose", ""), "NoCompose", "docker-compose-plugin"),
            (
                ("free-directory", "9437184"),
                "DiskFull",
                "/srv/app has 9.0 GiB free and needs 10.0",
            ),
            (("free-docker", "1024"), "DiskFull", "/var/lib/docker"),
            (("clock", "900"), "ClockSkew", "100 s off"),
            (("clock", "1100"), "ClockSkew", "98 s off"),
        ] {
            let problems = look(&[change]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].0, reason);
            assert!(problems[0].1.contains(words), "{problems:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = look(&[("free-docker", "1024"), ("clock", "1"), ("compose", "")]);
        assert_eq!(problems.len(), 3);
    }

    /// Exit code and commit of the script, in a clone of a repository with commits `old` and `new` on main, the tag v1 at
    /// `old`, and a branch that nobody has reviewed.
    const REPOSITORY: &str = r#"
        set -eu
        cd "$folder"
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_GLOBAL=/dev/null
        git init --quiet origin
        cd origin
        git checkout --quiet -b main
        for name in old new; do git commit --quiet --allow-empty --message $name; git rev-parse HEAD; done
        git tag v1 HEAD~1
        git checkout --quiet -b unreviewed
        git commit --quiet --allow-empty --message theirs
        git rev-parse HEAD
        git checkout --quiet main
        git clone --quiet . ../clone
        mkdir ../clone/.git/reeve
    "#;

    fn sh(script: &Script) -> Output {
        let ended = std::process::Command::new("sh")
            .args(["-c", &script.text("mark-1: ")])
            .output()
            .expect("sh");
        Output {
            code: ended.status.code().and_then(|code| u32::try_from(code).ok()),
            stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
            ..Output::marked("mark-1: ")
        }
    }

    fn resolve(folder: &str, revision: &str, agreed: &str) -> (Option<u32>, Option<String>) {
        let texts = ["in_project() { :; }\ncd \"$directory\" || exit 1\n", RESOLVE];
        let output = sh(&Script::of(&texts)
            .set("directory", &format!("{folder}/clone"))
            .set("state", &format!("{folder}/clone/.git/reeve"))
            .set("files", "")
            .set("remote", "origin")
            .set("revision", revision)
            .set("commit", agreed));
        (output.code, output.value("commit").map(str::to_owned))
    }

    #[test]
    fn a_commit_agreed_on_must_be_of_the_revision_and_is_never_an_option() {
        let folder = std::env::temp_dir().join(format!("reeve-resolve-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.display().to_string();
        let made = sh(&Script::of(&[REPOSITORY]).set("folder", &path));
        let commits: Vec<_> = made.stdout.lines().collect();
        let [old, new, theirs] = commits[..] else {
            panic!("{made:?}")
        };
        let pwned = folder.join("pwned");
        let option = format!("--upload-pack=touch {}", pwned.display());
        let refused = (Some(OTHER), None);
        let unknown = (Some(13), None);
        let found = |commit: &str| (Some(0), Some(commit.to_owned()));
        for (revision, agreed, expected) in [
            ("main", "", found(new)),
            ("main", new, found(new)),
            // The branch has moved on since.
            ("main", old, found(old)),
            ("main", theirs, refused.clone()),
            ("v1", "", found(old)),
            ("v1", new, refused.clone()),
            (&old[..8], "", found(old)),
            (old, new, refused.clone()),
            ("main", &option, refused),
            (&option, "", unknown.clone()),
            ("nowhere", new, unknown.clone()),
            ("", "", unknown),
        ] {
            assert_eq!(resolve(&path, revision, agreed), expected, "{revision} {agreed}");
        }
        let ran = pwned.exists();
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(!ran, "what was told as a commit has become an option of Git");
    }

    #[test]
    fn a_folder_without_a_repository_is_told_and_nothing_is_written() {
        let folder = std::env::temp_dir().join(format!("reeve-look-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.display().to_string();
        let look = "export TMPDIR=$directory GIT_CEILING_DIRECTORIES=${directory%/*}\n";
        let output = sh(&Script::of(&[look, LOOK]).set("directory", &path));
        let left = std::fs::read_dir(&folder).expect("a folder").count();
        std::fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(
            (output.value("directory"), output.value("repository"), left),
            (Some("yes"), None, 0)
        );
        let said = output.value("git").unwrap_or_default();
        assert!(said.contains("not a git repository"), "{output:?}");
    }
}
