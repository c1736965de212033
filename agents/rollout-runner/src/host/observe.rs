//! What became of an attempt whose report was lost. The question waits behind the fence until that attempt has ended,
//! and raises the fence: should it not have begun, it never will.

use reeve_rollout::step::{Action, Observe};

use super::{Host, commit, is_passing};
use crate::{
    answer::{Answer, Outcome, Problem},
    command::is_inconclusive,
};

const OUTCOME: &str = include_str!("scripts/outcome.sh");

impl Host<'_> {
    /// Asks the host.
    pub async fn observe(&self, observe: &Observe) -> Outcome {
        let body = self
            .script(&[OUTCOME])
            .set("observed", &observe.attempt.to_string());
        let output = self.fenced(&body, false).await?;
        if !output.ok() {
            return Err(self.failure(&output));
        }
        let (host, attempt) = (self.name(), observe.attempt);
        let again = |why: &str| {
            Err(Problem::inconclusive(
                "NoEffect",
                format!("host {host}: attempt {attempt} {why}; it can be tried again"),
            ))
        };
        match output.value("ended").map(str::parse::<u32>) {
            Some(Ok(0)) => self.confirm(&observe.action).await,
            Some(Ok(code)) if is_worth_another(&observe.action, code) => {
                again(&format!("ended with code {code}, which may go better next time"))
            }
            Some(Ok(code)) => {
                let message = format!("host {host}: attempt {attempt} ended with code {code}");
                Err(Problem::failed("EarlierAttemptFailed", message).touched())
            }
            Some(Err(_)) => Err(Problem::errored(
                "Unreadable",
                format!("host {host} has no readable note of attempt {attempt}"),
            )),
            // What was broken off can be carried out again as a whole: every action is idempotent.
            None if output.value("broken").is_some() => again("was broken off"),
            None => again("did not begin"),
        }
    }

    /// A deployment whose script went well has taken effect when its containers are well.
    async fn confirm(&self, action: &Action) -> Outcome {
        let commit = match action {
            Action::Deploy(deploy) => deploy.commit.clone(),
            Action::PutBack(back) => Some(back.to.id.clone()),
            _ => None,
        };
        if let Some(commit) = &commit {
            commit::commit(commit, "the instruction asks for")?;
            self.settle().await.map_err(Problem::touched)?;
        }
        Ok(Answer {
            message: format!("host {}: the earlier attempt took effect", self.name()),
            commit,
            ..Answer::default()
        })
    }
}

/// Whether what ended so is not known to fail again.
fn is_worth_another(action: &Action, code: u32) -> bool {
    match action {
        Action::Deploy(_) => is_passing(code),
        Action::Run(command) => is_inconclusive(command, code),
        _ => false,
    }
}
