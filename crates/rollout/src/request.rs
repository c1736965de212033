//! What persons ask of a run. Each request names the run that it means, so that none can act on a later one; the
//! annotations that carry them hold exactly the text that is parsed here.

use std::{fmt, str::FromStr};

use crate::{
    spec::Rollout,
    words::{Environment, Phase},
};

/// The two ways of trying a run again.
const FROM_FAILED: &str = "failed";
const FROM_START: &str = "start";

/// What is asked of the runs of an object. The controller reads it from annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// End the run named, after the step that runs; what the failure table says is put back.
    pub abort: Option<String>,
    /// Let a phase begin.
    pub approve: Option<Approve>,
    /// Who has approved, as far as it is known.
    pub approved_by: Option<String>,
    /// Try an inconclusive step again.
    pub retry: Option<RetryStep>,
    /// Put back everything that the run has deployed.
    pub roll_back: Option<String>,
}

/// `RUN/PHASE`: the phase may begin; `RUN/STEP`: the inconclusive step counts as succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approve {
    /// The run.
    pub run: String,
    /// A phase's name, or a step's id.
    pub what: String,
}

/// `RUN/STEP/ATTEMPT`: the step whose attempt was inconclusive is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryStep {
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// The attempt that was inconclusive.
    pub attempt: u32,
}

/// A text that is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no {1}; let kubectl reeve write it")]
pub struct NotARequest(String, &'static str);

/// `TOKEN [revision=R] [environment=E] [skipTests=B] [forceSkipTests=B] [rollbackOnFailure=B]`: begin a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Tells this request from others.
    pub token: String,
    /// Instead of the spec's.
    pub revision: Option<String>,
    /// Instead of the spec's.
    pub environment: Option<Environment>,
    /// Instead of the spec's.
    pub skip_tests: Option<bool>,
    /// Instead of the spec's.
    pub force_skip_tests: Option<bool>,
    /// Instead of the spec's.
    pub rollback_on_failure: Option<bool>,
}

/// `RUN/failed` or `RUN/start`, and `/TOKEN` to ask for the same again: a run that follows one that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRun {
    /// The run that has ended.
    pub run: String,
    /// Whether all of it is done again, and not only what comes from the step that failed.
    pub from_start: bool,
    /// Tells this request from others.
    pub token: Option<String>,
}

/// `RUN`, and `/TOKEN` to ask for the same again: what a run has deployed is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollBackRun {
    /// The run.
    pub run: String,
    /// Tells this request from others.
    pub token: Option<String>,
}

/// The token, if one is given.
fn token(text: Option<&str>) -> Result<Option<String>, ()> {
    match text {
        Some(text) if text.is_empty() || text.contains('/') => Err(()),
        text => Ok(text.map(str::to_owned)),
    }
}

fn write_token(f: &mut fmt::Formatter<'_>, token: Option<&String>) -> fmt::Result {
    token.map_or(Ok(()), |token| write!(f, "/{token}"))
}

impl Begin {
    /// The spec of the run: that of the object, with what the request says.
    pub fn apply(&self, to: &Rollout) -> Rollout {
        Rollout {
            revision: self.revision.clone().unwrap_or_else(|| to.revision.clone()),
            environment: self.environment.unwrap_or(to.environment),
            skip_tests: self.skip_tests.unwrap_or(to.skip_tests),
            force_skip_tests: self.force_skip_tests.unwrap_or(to.force_skip_tests),
            rollback_on_failure: self.rollback_on_failure.unwrap_or(to.rollback_on_failure),
            ..to.clone()
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "revision" if !value.is_empty() => self.revision = Some(value.to_owned()),
            "environment" => self.environment = Some(value.parse().ok()?),
            "skipTests" => self.skip_tests = Some(value.parse().ok()?),
            "forceSkipTests" => self.force_skip_tests = Some(value.parse().ok()?),
            "rollbackOnFailure" => self.rollback_on_failure = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

impl FromStr for Begin {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let parse = || {
            let mut words = text.split_ascii_whitespace();
            let token = words.next().filter(|token| !token.contains('='))?;
            let mut begin = Self {
                token: token.to_owned(),
                ..Self::default()
            };
            for word in words {
                let (key, value) = word.split_once('=')?;
                begin.set(key, value)?;
            }
            Some(begin)
        };
        parse().ok_or_else(|| NotARequest(text.to_owned(), "TOKEN [revision=R] [environment=E] …"))
    }
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token)?;
        if let Some(revision) = &self.revision {
            write!(f, " revision={revision}")?;
        }
        if let Some(environment) = &self.environment {
            write!(f, " environment={environment}")?;
        }
        let flags = [
            ("skipTests", self.skip_tests),
            ("forceSkipTests", self.force_skip_tests),
            ("rollbackOnFailure", self.rollback_on_failure),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                write!(f, " {key}={value}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for RetryRun {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let parse = || {
            let mut parts = text.splitn(3, '/');
            let run = parts.next().filter(|run| !run.is_empty())?;
            let from_start = match parts.next()? {
                FROM_FAILED => false,
                FROM_START => true,
                _ => return None,
            };
            Some(Self {
                run: run.to_owned(),
                from_start,
                token: token(parts.next()).ok()?,
            })
        };
        parse().ok_or_else(|| NotARequest(text.to_owned(), "RUN/failed or RUN/start"))
    }
}

impl fmt::Display for RetryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.from_start { FROM_START } else { FROM_FAILED };
        write!(f, "{}/{from}", self.run)?;
        write_token(f, self.token.as_ref())
    }
}

impl FromStr for RollBackRun {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let parse = || {
            let mut parts = text.splitn(2, '/');
            let run = parts.next().filter(|run| !run.is_empty())?;
            Some(Self {
                run: run.to_owned(),
                token: token(parts.next()).ok()?,
            })
        };
        parse().ok_or_else(|| NotARequest(text.to_owned(), "RUN"))
    }
}

impl fmt::Display for RollBackRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.run)?;
        write_token(f, self.token.as_ref())
    }
}

impl Approve {
    /// Whether it lets `phase` of `run` begin.
    pub fn is_for(&self, run: &str, phase: Phase) -> bool {
        self.run == run && self.what == phase.name()
    }

    /// Whether it settles `step` of `run`.
    pub fn settles(&self, run: &str, step: &str) -> bool {
        self.run == run && self.what == step
    }
}

impl FromStr for Approve {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let parts = text
            .split_once('/')
            .filter(|(run, what)| !run.is_empty() && !what.is_empty());
        let (run, what) = parts.ok_or_else(|| NotARequest(text.to_owned(), "RUN/PHASE"))?;
        Ok(Self {
            run: run.to_owned(),
            what: what.to_owned(),
        })
    }
}

impl fmt::Display for Approve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.what)
    }
}

impl FromStr for RetryStep {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let parse = || {
            let mut parts = text.split('/');
            let (run, step, attempt) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
            // The other form of the annotation.
            let of_run = [FROM_FAILED, FROM_START].contains(&step);
            let whole = parts.next().is_none() && !run.is_empty() && !step.is_empty() && !of_run;
            whole.then(|| Self {
                run: run.to_owned(),
                step: step.to_owned(),
                attempt,
            })
        };
        parse().ok_or_else(|| NotARequest(text.to_owned(), "RUN/STEP/ATTEMPT"))
    }
}

impl fmt::Display for RetryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.step, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        let approve: Approve = "homelab-7/Production".parse().expect("a request");
        assert!(
            approve.is_for("homelab-7", Phase::Production) && !approve.is_for("homelab-8", Phase::Production)
        );
        assert_eq!(approve.to_string(), "homelab-7/Production");
        let retry: RetryStep = "homelab-7/tests/2".parse().expect("a request");
        assert_eq!(retry.to_string(), "homelab-7/tests/2");
    }

    #[test]
    fn a_run_begins_with_what_its_request_says() {
        let text = "ci-4711 revision=v1.4.0 environment=Staging skipTests=true";
        let begin: Begin = text.parse().expect("a request");
        assert_eq!(begin.to_string(), text);
        assert_eq!(begin.environment, Some(Environment::Staging));
        assert_eq!(
            "ci-4711".parse::<Begin>().expect("a request").to_string(),
            "ci-4711"
        );
        for text in [
            "",
            " ",
            "a=b",
            "t revision",
            "t revision=",
            "t environment=staging",
            "t skipTests=yes",
        ] {
            assert!(text.parse::<Begin>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_run_follows_from_its_start_or_from_what_failed() {
        for text in ["homelab-7/failed", "homelab-7/start", "homelab-7/failed/2"] {
            assert_eq!(text.parse::<RetryRun>().expect("a request").to_string(), text);
            assert!(text.parse::<RetryStep>().is_err(), "{text:?}");
        }
        for text in ["homelab-7", "homelab-7/ci-4711"] {
            assert_eq!(text.parse::<RollBackRun>().expect("a request").to_string(), text);
        }
        for text in ["", "/x", "homelab-7/", "homelab-7/a/b"] {
            assert!(text.parse::<RollBackRun>().is_err(), "{text:?}");
        }
        assert!("homelab-7/tests/2".parse::<RetryRun>().is_err() && "/start".parse::<RetryRun>().is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "x", "/x", "x/", "a/b/c/d", "a/b/x", "a//1"] {
            assert!(text.parse::<RetryStep>().is_err(), "{text:?}");
        }
        for text in ["", "x", "/x", "x/"] {
            assert!(text.parse::<Approve>().is_err(), "{text:?}");
        }
    }
}
