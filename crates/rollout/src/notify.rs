//! What people are told, and by which work: how a run ended, and that it waits for one of them. Pure; a runner sends it,
//! so that no token and no URL of a user's choice reaches the controller.

use reeve_api_types::Source;
use serde::Serialize;

use crate::{
    decision::{Ask, Question},
    history::{RunResult, spelled},
    plan::Plan,
    spec::Notification,
    status::Run,
    step::{Action, Instruction, Message, Mount, PROTOCOL, Service, WebhookUrl, Work, cut},
    time::seconds,
    words::Outcome,
};

/// Seconds that telling one receiver may take, with all attempts.
const TIME_LIMIT: u64 = 300;
/// What Telegram takes at most, in characters; counted here in bytes, of which there are never fewer.
/// <https://core.telegram.org/bots/api#sendmessage>
const LONGEST: usize = 4096;
/// Attempts at `ask-NAME` up to this number are about approvals, of which a run has no more.
const APPROVALS: u32 = 8;

/// The placeholders of a notification's text.
pub(crate) const WORDS: [&str; 9] = [
    "name",
    "namespace",
    "revision",
    "commit",
    "outcome",
    "phase",
    "message",
    "systemsDeployed",
    "duration",
];

/// What people are told of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum About<'a> {
    /// The run has ended.
    End,
    /// It waits for a person: [`crate::Decision::Ask`].
    Question(&'a Ask),
}

/// The body for a webhook: the result that scripts read, and which run it is of.
#[derive(Serialize)]
struct Body<'a> {
    /// `ended` or `waiting`.
    event: &'static str,
    namespace: &'a str,
    name: &'a str,
    run: &'a str,
    revision: &'a str,
    commit: Option<&'a str>,
    /// What the other services would say.
    text: &'a str,
    #[serde(flatten)]
    result: RunResult,
}

impl Notification {
    /// Whether this receiver wants to be told.
    pub fn wants(&self, run: &Run, about: About<'_>) -> bool {
        match about {
            About::End => run
                .outcome
                .is_some_and(|outcome| self.outcomes.is_empty() || self.outcomes.contains(&outcome)),
            About::Question(_) => self.approvals,
        }
    }
}

impl Plan {
    /// The work of telling `receiver`. None when it does not want to be told, and of the end of a run that goes on.
    ///
    /// The instruction's step is `notify-NAME` for the end, and `ask-NAME` for a question, whose attempt is another for
    /// each question of the run. A message that does not arrive changes nothing of the run.
    pub fn telling(&self, run: &Run, receiver: &Notification, about: About<'_>) -> Option<Work> {
        if !receiver.wants(run, about) {
            return None;
        }
        let mut mounts = Vec::new();
        let mut file = |source: Source| {
            let mount = Mount::of(source);
            let path = mount.path.clone();
            mounts.push(mount);
            path
        };
        let by = if let Some(telegram) = &receiver.telegram {
            Service::Telegram {
                api_url: telegram.api_url.clone(),
                token_file: file((&telegram.token_ref).into()),
                chat_id: telegram.chat_id.clone(),
                text: cut(&self.told(run, receiver, about, str::to_owned), LONGEST),
            }
        } else if let Some(slack) = &receiver.slack {
            Service::Slack {
                url_file: file((&slack.url_ref).into()),
                text: self.told(run, receiver, about, escaped_for_slack),
            }
        } else {
            let webhook = receiver.webhook.as_ref()?;
            let url = match (&webhook.url, &webhook.url_ref) {
                (Some(url), _) => WebhookUrl::Plain(url.clone()),
                (None, reference) => WebhookUrl::File(file(reference.as_ref()?.into())),
            };
            Service::Webhook {
                url,
                hmac_key_file: webhook.hmac_key_ref.as_ref().map(|key| file(key.into())),
                body: self.body(run, &self.told(run, receiver, about, str::to_owned), about),
            }
        };
        let ca_file = receiver.ca_ref.as_ref().map(|bundle| file(bundle.into()));
        mounts.sort();
        mounts.dedup();
        let (step, attempt) = match about {
            About::End => (format!("notify-{}", receiver.name), 1),
            About::Question(ask) => (format!("ask-{}", receiver.name), number(run, ask)),
        };
        Some(Work {
            instruction: Instruction {
                protocol: PROTOCOL,
                namespace: self.namespace.clone(),
                rollout: self.name.clone(),
                run: run.id.clone(),
                ended_runs: Vec::new(),
                step,
                attempt,
                time_limit: TIME_LIMIT,
                target: None,
                action: Action::Notify(Message {
                    to: receiver.name.clone(),
                    by,
                    ca_file,
                }),
            },
            mounts,
            service_account: None,
            image: None,
        })
    }

    fn told(
        &self,
        run: &Run,
        receiver: &Notification,
        about: About<'_>,
        escaped: impl Fn(&str) -> String,
    ) -> String {
        let ending = run.ending.as_ref();
        let message = match about {
            About::End => ending.map_or("", |ending| ending.message.as_str()),
            About::Question(ask) => &ask.message,
        };
        let own = receiver.text.as_deref().filter(|_| about == About::End);
        let resolved = self.version(run) != run.revision;
        let default = default_text(run, about, resolved);
        let systems = match run.systems_deployed().join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            systems => systems,
        };
        let ended = run.ended_at.unwrap_or(run.started_at);
        let value = |word: &str| match word {
            "name" => Some(self.name.clone()),
            "namespace" => Some(self.namespace.clone()),
            "revision" => Some(run.revision.clone()),
            "commit" => Some(self.version(run).to_owned()),
            "outcome" => Some(run.outcome.map_or("Running", Outcome::name).to_owned()),
            "phase" => Some(run.phase.name().to_owned()),
            "message" => Some(message.to_owned()),
            "systemsDeployed" => Some(systems.clone()),
            "duration" => Some(spelled(seconds(run.started_at, ended))),
            _ => None,
        };
        filled(own.unwrap_or(&default), |word| {
            value(word).map(|value| escaped(&value))
        })
    }

    fn body(&self, run: &Run, text: &str, about: About<'_>) -> serde_json::Value {
        let waits = run
            .waiting
            .as_ref()
            .map_or(run.started_at, |waiting| waiting.since);
        let body = Body {
            event: match about {
                About::End => "ended",
                About::Question(_) => "waiting",
            },
            namespace: &self.namespace,
            name: &self.name,
            run: &run.id,
            revision: &run.revision,
            commit: run.commit_of(self, &run.revision),
            text,
            result: RunResult::of(run, waits),
        };
        // Texts, numbers and maps with texts as keys: there is nothing that JSON could not say.
        serde_json::to_value(body).unwrap_or_default()
    }

    /// The commit that the run's revision was resolved to, or where there is no Git the revision itself.
    fn version<'a>(&'a self, run: &'a Run) -> &'a str {
        run.commit_of(self, &run.revision).unwrap_or(&run.revision)
    }
}

/// Which question of the run it is: approvals by their place, judgements by the attempts that came before them.
fn number(run: &Run, ask: &Ask) -> u32 {
    match &ask.about {
        Question::Approval(phase) => {
            let place = run
                .approvals
                .iter()
                .position(|approval| approval.before == *phase);
            u32::try_from(place.unwrap_or(run.approvals.len())).map_or(APPROVALS, |place| place + 1)
        }
        Question::Judgement { .. } => {
            let attempts = run.steps.iter().map(|step| step.attempt);
            attempts.fold(APPROVALS, u32::saturating_add)
        }
    }
}

fn default_text(run: &Run, about: About<'_>, resolved: bool) -> String {
    let what = if resolved {
        "{{revision}} ({{commit}})"
    } else {
        "{{revision}}"
    };
    let rest = match (about, run.outcome) {
        (About::Question(ask), _) => {
            return format!(
                "{{{{namespace}}}}/{{{{name}}}}: {what}: {{{{message}}}}, until {}",
                ask.until
            );
        }
        (_, Some(Outcome::Success)) => "is deployed to {{systemsDeployed}} after {{duration}}",
        (_, Some(Outcome::PartialSuccess)) => {
            "is deployed to {{systemsDeployed}} only, after {{duration}}; phase {{phase}}: {{message}}"
        }
        (_, Some(Outcome::Aborted)) => {
            "was aborted in phase {{phase}} after {{duration}}: {{message}}; deployed now: {{systemsDeployed}}"
        }
        (_, Some(Outcome::RolledBack)) => {
            "was rolled back after {{duration}}: {{message}}; deployed now: {{systemsDeployed}}"
        }
        (_, Some(Outcome::Superseded)) => {
            "was superseded in phase {{phase}} after {{duration}}: {{message}}; deployed now: {{systemsDeployed}}"
        }
        (_, Some(Outcome::Failed) | None) => {
            "failed in phase {{phase}} after {{duration}}: {{message}}; deployed now: {{systemsDeployed}}"
        }
    };
    let look = if run
        .ending
        .as_ref()
        .is_some_and(|ending| ending.attention.is_some())
    {
        ". A person has to look"
    } else {
        ""
    };
    format!("{{{{outcome}}}}: {{{{namespace}}}}/{{{{name}}}}: {what} {rest}{look}.")
}

/// The text with what stands for each placeholder. What is put in is not looked at again.
fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        done.push_str(before);
        let known = after
            .split_once("}}")
            .and_then(|(word, behind)| Some((value(word)?, behind)));
        if let Some((value, behind)) = known {
            done.push_str(&value);
            rest = behind;
        } else {
            done.push_str("{{");
            rest = after;
        }
    }
    done + rest
}

/// Slack reads `&`, `<` and `>` as markup. <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escaped_for_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// What is wrong with a notification's text: what stands between braces and is no placeholder.
pub(crate) fn unknown_placeholder(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        match after.split_once("}}") {
            Some((word, behind)) if WORDS.contains(&word) => rest = behind,
            Some((word, _)) => return Some(format!("{{{{{}}}}}", cut(word, 40))),
            None => return Some("{{".to_owned()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_taken_for_a_placeholder() {
        let value = |word: &str| (word == "message").then(|| "{{name}}".to_owned());
        assert_eq!(
            filled("a {{message}} b {{other}} {{", value),
            "a {{name}} b {{other}} {{"
        );
    }

    #[test]
    fn the_first_placeholder_that_nothing_stands_for_is_named() {
        assert_eq!(unknown_placeholder("{{name}}: {{outcome}} {x} }}"), None);
        for (text, named) in [
            ("{{name}} {{weather}}", "{{weather}}"),
            ("{{ name }}", "{{ name }}"),
            ("{{.Names}}", "{{.Names}}"),
            ("{{name", "{{"),
        ] {
            assert_eq!(unknown_placeholder(text).as_deref(), Some(named), "{text}");
        }
    }
}
