//! Whether a host can be deployed to. Everything that is missing is told at once.

use std::time::{SystemTime, UNIX_EPOCH};

use reeve_rollout::step::Preflight;

use super::{Host, Script};
use crate::{
    answer::{Answer, Outcome, Problem},
    ssh::Output,
};

const LOOK: &str = include_str!("scripts/preflight.sh");
const RESOLVE: &str = include_str!("scripts/resolve.sh");
const COMPOSE: &str = include_str!("scripts/compose.sh");
const GIB: u64 = 1 << 30;

impl Host<'_> {
    /// Looks at the host, takes its lock unless it only looks, resolves the revision.
    pub async fn preflight(&self, wanted: &Preflight) -> Outcome {
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
        let resolved = if wanted.look_only {
            self.look_at_lock().await?;
            self.resolve(wanted).await?
        } else {
            self.take_lock().await?;
            // From here on a failure leaves the lock held.
            self.resolve(wanted).await.map_err(Problem::touched)?
        };
        let commit = resolved.value("commit").unwrap_or_default().to_owned();
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

    async fn resolve(&self, wanted: &Preflight) -> Outcome<Output> {
        let body = self
            .script(&[COMPOSE, RESOLVE])
            .set("revision", &wanted.revision)
            .set("commit", wanted.commit.as_deref().unwrap_or_default());
        let resolved = self.fenced(&body, false).await?;
        if resolved.ok() {
            Ok(resolved)
        } else {
            Err(self.failure(&resolved))
        }
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
            stderr: String::new(),
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
}
