//! What persons ask of a run. Each request names the run that it means, so that none can act on a later one; the
//! annotations that carry them hold exactly the text that is parsed here.

use std::{fmt, str::FromStr};

use crate::words::Phase;

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
    /// Put back everything that the run named has deployed.
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
            let whole = parts.next().is_none() && !run.is_empty() && !step.is_empty();
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
    fn anything_else_is_refused() {
        for text in ["", "x", "/x", "x/", "a/b/c/d", "a/b/x", "a//1"] {
            assert!(text.parse::<RetryStep>().is_err(), "{text:?}");
        }
        for text in ["", "x", "/x", "x/"] {
            assert!(text.parse::<Approve>().is_err(), "{text:?}");
        }
    }
}
