//! Whether the containers of a project are well, by the same rule for both generations of Compose: `up --wait` is only
//! of one of them, and takes a container that has done its work for a failure.

use std::{collections::BTreeMap, time::Duration};

use super::{Host, secrets::LARGEST};
use crate::{
    answer::{Outcome, Problem},
    ssh::{Files, Output},
};

pub(super) const COMPOSE: &str = include_str!("scripts/compose.sh");
const SERVICES: &str = include_str!("scripts/services.sh");
const EVIDENCE: &str = include_str!("scripts/evidence.sh");
const ENVIRONMENT: &str = include_str!("scripts/environment.sh");
/// Parts of names of variables that are secrets.
const NAMES: [&str; 10] = [
    "pass", "secret", "token", "key", "cred", "auth", "salt", "cookie", "dsn", "url",
];
/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the containers of a project amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// All run, are healthy where they say, or have done their work.
    Well,
    /// Some are still starting: service and state.
    Starting(Vec<(String, String)>),
    /// Some have ended with a failure: service and state.
    Broken(Vec<(String, String)>),
    /// There are none.
    Nothing,
}

impl Host<'_> {
    /// Waits until all containers are well, twice in a row: one that dies at once looks well for a moment.
    pub(super) async fn settle(&self) -> Outcome<()> {
        let (mut well, mut broken) = (0, 0);
        let found = loop {
            let output = self.look(&self.script(&[COMPOSE, SERVICES])).await?;
            if !output.ok() {
                return Err(self.failure(&output));
            }
            let state = state(&output);
            (well, broken) = match state {
                State::Well => (well + 1, 0),
                State::Broken(_) => (0, broken + 1),
                State::Starting(_) | State::Nothing => (0, 0),
            };
            // A restart policy may bring a container back: it is broken when it stays so.
            match state {
                State::Well if well >= 2 => return Ok(()),
                State::Broken(_) if broken >= 3 => break state,
                State::Nothing => break state,
                State::Starting(_) | State::Broken(_) if self.remaining() < 10 * INTERVAL => break state,
                _ => tokio::time::sleep(INTERVAL).await,
            }
        };
        let (said, ill) = match &found {
            State::Nothing => ("the project has no containers".to_owned(), Vec::new()),
            State::Well => ("its containers do not stay up".to_owned(), Vec::new()),
            State::Starting(list) | State::Broken(list) => {
                let list: BTreeMap<_, _> = list.iter().cloned().collect();
                let said: Vec<_> = list
                    .iter()
                    .map(|(name, state)| format!("{name} is {state}"))
                    .collect();
                (said.join(", "), list.into_keys().collect())
            }
        };
        let mut message = format!("host {}: {said}", self.name());
        if found != State::Nothing {
            message = format!("{message}. Last lines: {}", self.evidence(&ill).await);
        }
        Err(Problem::failed("Unhealthy", message))
    }

    /// Logs what Compose shows of a project whose checks have failed: the services that are not well, or all where
    /// Docker thinks that they are. A sentence with the end of it is for the report.
    pub async fn show(&self) -> String {
        let looked = self.look(&self.script(&[COMPOSE, SERVICES])).await;
        let ill = match looked.ok().filter(Output::ok).map(|output| state(&output)) {
            Some(State::Nothing) => return "The project has no containers".to_owned(),
            Some(State::Starting(list) | State::Broken(list)) => {
                list.into_iter().map(|(name, _)| name).collect()
            }
            Some(State::Well) | None => Vec::new(),
        };
        format!("Last lines: {}", self.evidence(&ill).await)
    }

    /// `compose ps` and the last lines of these services, or of all where none is named, logged; the end of them for the
    /// report.
    pub(super) async fn evidence(&self, services: &[String]) -> String {
        self.learn_environment().await;
        let script = self
            .script(&[COMPOSE, EVIDENCE])
            .arguments(services.iter().map(String::as_str));
        match self.look(&script).await {
            Ok(output) => {
                self.redactor.log(self.name(), &output.shown());
                self.redactor.redact(&output.tail(5))
            }
            Err(problem) => problem.message,
        }
    }

    /// Lets the redactor know the secrets among the project's own variables: Compose quotes lines that it cannot read.
    pub(super) async fn learn_variables(&self) {
        let path = format!("{}/.env", self.directory());
        let Ok(files) = Files::of(&self.connection).await else {
            return;
        };
        // Without it, or where it may not be read, there is nothing to keep.
        if let Ok(Some(content)) = files.read(&path, LARGEST).await {
            self.learn_lines(String::from_utf8_lossy(&content).lines());
        }
    }

    /// Lets the redactor know the secrets that containers have as variables: programs like to print them.
    async fn learn_environment(&self) {
        let Ok(output) = self.look(&self.script(&[COMPOSE, ENVIRONMENT])).await else {
            return;
        };
        for list in output.values("environment") {
            let variables: Vec<String> = serde_json::from_str(list).unwrap_or_default();
            self.learn_lines(variables.iter().map(String::as_str));
        }
    }

    /// Those of lines `NAME=VALUE` that are secrets.
    fn learn_lines<'a>(&self, lines: impl Iterator<Item = &'a str>) {
        lines
            .filter(|line| is_secret(line))
            .for_each(|line| self.redactor.learn(line));
    }
}

/// Whether `NAME=VALUE` has a name as secrets have.
fn is_secret(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default().to_lowercase();
    NAMES.iter().any(|word| name.contains(word))
}

fn state(output: &Output) -> State {
    let (mut starting, mut broken, mut all) = (Vec::new(), Vec::new(), 0);
    for line in output.values("container") {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or_default().to_owned();
        let (service, state, code, health) = (next(), next(), next(), next());
        all += 1;
        match (state.as_str(), health.as_str()) {
            ("running", "healthy" | "none") => {}
            ("running", health) => starting.push((service, health.to_owned())),
            ("exited", _) if code == "0" => {}
            ("exited" | "dead", _) => broken.push((service, format!("{state} with code {code}"))),
            _ => starting.push((service, state)),
        }
    }
    match (all, broken.is_empty(), starting.is_empty()) {
        (0, ..) => State::Nothing,
        (_, false, _) => State::Broken(broken),
        (_, true, false) => State::Starting(starting),
        (_, true, true) => State::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> State {
        state(&Output {
            stdout: lines
                .iter()
                .map(|line| format!("reeve: container {line}\n"))
                .collect::<Vec<_>>()
                .concat(),
            ..Output::marked("reeve: ")
        })
    }

    #[test]
    fn containers_that_run_or_have_done_their_work_are_well() {
        assert_eq!(
            of(&[
                "web running 0 healthy",
                "db running 0 none",
                "migrate exited 0 none"
            ]),
            State::Well
        );
    }

    #[test]
    fn a_container_that_ended_with_a_failure_outweighs_those_that_start() {
        let state = of(&["web running 0 starting", "db exited 1 none"]);
        assert_eq!(
            state,
            State::Broken(vec![("db".into(), "exited with code 1".into())])
        );
    }

    #[test]
    fn unhealthy_and_restarting_containers_may_still_become_well() {
        for (line, word) in [
            ("web running 0 unhealthy", "unhealthy"),
            ("web restarting 1 none", "restarting"),
        ] {
            assert_eq!(of(&[line]), State::Starting(vec![("web".into(), word.into())]));
        }
    }

    #[test]
    fn variables_are_secrets_by_their_names() {
        for (line, secret) in [
            ("DB_PASSWORD=x", true),
            ("DATABASE_URL=postgres://a:b@c/d", true),
            ("API_KEY=", true),
            ("PATH=/usr/bin:/key", false),
            ("LANG=C", false),
        ] {
            assert_eq!(is_secret(line), secret, "{line}");
        }
    }

    #[test]
    fn a_project_without_containers_is_not_well() {
        assert_eq!(of(&[]), State::Nothing);
    }
}
