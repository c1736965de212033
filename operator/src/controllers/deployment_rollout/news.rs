//! What a write of the status has to be followed by: an event for each thing that has happened, and a count. Told from
//! the difference between the two statuses, so that nothing is told twice.

use reeve_crds::names;
use reeve_rollout::{Attention, Outcome, Phase, Role, Run, StepState, StepStatus, TargetState, spelled};

use super::{conclude, metrics::RolloutMetrics};
use crate::engine::kind::News;

fn news(reason: &'static str, warns: bool, note: String) -> News {
    News {
        reason,
        note,
        action: None,
        warns,
        count: None,
    }
}

/// Something that somebody should look at.
pub(super) fn warning(reason: &'static str, note: String) -> News {
    news(reason, true, note)
}

/// What has happened between two states of a run.
pub(super) fn of(before: Option<&Run>, after: &Run) -> Vec<News> {
    let before = before.filter(|run| run.id == after.id);
    let mut found = Vec::new();
    if before.is_none() {
        let note = format!("run {} of {} has begun", after.id, after.revision);
        found.push(news(names::REASON_RUN_STARTED, false, note));
    }
    for step in &after.steps {
        let known = before.and_then(|run| run.status_of(&step.id));
        let news = of_step(known, step);
        // Each attempt is told of by itself.
        let action = format!("{}/{}/{}", after.id, step.id, step.attempt);
        found.extend(news.map(|news| News {
            action: Some(names::fit(&action)),
            ..news
        }));
    }
    if let Some(question) = conclude::asked(after)
        && before.and_then(conclude::asked).is_none()
    {
        found.push(news(names::REASON_WAITING_FOR_APPROVAL, false, question));
    }
    if after.outcome.is_some() && before.is_none_or(|run| run.outcome.is_none()) {
        found.extend(of_end(after));
    }
    found
}

/// Whether the attempt that `after` speaks of has ended since `before`.
fn ended(before: Option<&StepStatus>, after: &StepStatus) -> bool {
    let same = |known: &&StepStatus| known.attempt == after.attempt && known.state == after.state;
    conclude::has_ended(after.state) && !before.as_ref().is_some_and(same)
}

fn of_step(before: Option<&StepStatus>, after: &StepStatus) -> Option<News> {
    if !ended(before, after) {
        return None;
    }
    let took = after.ended_at.unwrap_or(after.attempt_at);
    let took = spelled(took.duration_since(after.attempt_at).as_secs().max(0));
    let said = after.message.as_deref().unwrap_or("it gave no reason");
    let attempt = format!("step {}, attempt {}", after.id, after.attempt);
    let put_back = after.phase == Phase::Rollback;
    let reason = |other| {
        if put_back {
            names::REASON_TARGET_PUT_BACK
        } else {
            other
        }
    };
    Some(match after.state {
        StepState::Succeeded => news(
            reason(names::REASON_STEP_SUCCEEDED),
            false,
            format!("{attempt} has succeeded in {took}"),
        ),
        StepState::Retrying => news(
            reason(names::REASON_STEP_FAILED),
            true,
            format!("{attempt}: {said}; another attempt follows"),
        ),
        StepState::Inconclusive => news(
            names::REASON_STEP_FAILED,
            true,
            format!("{attempt} is inconclusive: {said}"),
        ),
        _ => news(
            reason(names::REASON_STEP_FAILED),
            true,
            format!("{attempt} has failed: {said}"),
        ),
    })
}

fn of_end(run: &Run) -> Vec<News> {
    let Some(outcome) = run.outcome else {
        return Vec::new();
    };
    let ending = run.ending.as_ref();
    let said = ending.map(|ending| ending.message.as_str()).unwrap_or_default();
    let took = run.ended_at.unwrap_or(run.started_at);
    let took = spelled(took.duration_since(run.started_at).as_secs().max(0));
    let mut found = Vec::new();
    // Success, and what needs nobody; the rest is told by the verdict, once, in the same words.
    if outcome == Outcome::Success {
        let note = format!(
            "run {} of {} has ended in {took}: {}",
            run.id,
            run.revision,
            run.systems_deployed().join(", ")
        );
        found.push(news(names::REASON_SUCCEEDED, false, note));
    }
    if let Some(attention) = ending.and_then(|ending| ending.attention) {
        let what = match attention {
            Attention::ManualInterventionRequired => "a person has to look at",
            Attention::RollbackFailed => "putting back has failed; a person has to look at",
        };
        let note = format!(
            "run {} has ended with {}: {what} it: {said}",
            run.id,
            outcome.name()
        );
        found.push(news(names::REASON_MANUAL_INTERVENTION, true, note));
    }
    found
}

/// Counts what has happened between two states of a run.
pub(super) fn count(metrics: &RolloutMetrics, before: Option<&Run>, after: &Run) {
    let before = before.filter(|run| run.id == after.id);
    for step in &after.steps {
        let known = before.and_then(|run| run.status_of(&step.id));
        if ended(known, step) {
            metrics.attempt(step);
        }
    }
    for target in &after.targets {
        let known = before
            .and_then(|run| run.target(&target.name))
            .map(|known| known.state);
        let result = match target.state {
            TargetState::RolledBack => "Succeeded",
            TargetState::RollbackFailed => "Failed",
            _ => continue,
        };
        if known != Some(target.state) {
            metrics.put_back(role(target.role), result);
        }
    }
    if after.outcome.is_some() && before.is_none_or(|run| run.outcome.is_none()) {
        metrics.ended(after);
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Staging => "Staging",
        Role::Production => "Production",
        Role::Public => "Public",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(state: &str, rest: &Value) -> Run {
        let mut run = json!({
            "id": "homelab-1", "number": 1, "revision": "v1", "environment": "Production",
            "startedAt": "2026-01-01T00:00:00Z", "phase": "Staging",
            "steps": [{"id": "deploy-vps", "phase": "Staging", "state": state, "attempt": 2, "message": "no space",
                "startedAt": "2026-01-01T00:00:00Z", "attemptAt": "2026-01-01T00:00:00Z",
                "endedAt": "2026-01-01T00:01:05Z"}],
        });
        for (key, value) in rest.as_object().into_iter().flatten() {
            run[key] = value.clone();
        }
        serde_json::from_value(run).expect("a run")
    }

    fn reasons(before: Option<&Run>, after: &Run) -> Vec<&'static str> {
        of(before, after).into_iter().map(|news| news.reason).collect()
    }

    #[test]
    fn each_thing_is_told_once() {
        let (begun, running) = (run("Running", &json!({"steps": []})), run("Running", &json!({})));
        assert_eq!(reasons(None, &begun), [names::REASON_RUN_STARTED]);
        assert!(reasons(Some(&begun), &running).is_empty());
        let done = run("Succeeded", &json!({}));
        assert_eq!(
            of(Some(&running), &done)[0].note,
            "step deploy-vps, attempt 2 has succeeded in 1m5s"
        );
        assert!(reasons(Some(&done), &done).is_empty());
        let failed = of(Some(&running), &run("Failed", &json!({})));
        assert!(
            failed[0].warns && failed[0].note.ends_with("no space"),
            "{failed:?}"
        );
    }

    #[test]
    fn a_person_is_called_when_one_has_to_look() {
        let ended = run(
            "Failed",
            &json!({
                "outcome": "PartialSuccess", "endedAt": "2026-01-01T00:02:00Z",
                "ending": {"outcome": "PartialSuccess", "message": "m", "attention": "ManualInterventionRequired"},
            }),
        );
        let before = run("Failed", &json!({}));
        assert_eq!(
            reasons(Some(&before), &ended),
            [names::REASON_MANUAL_INTERVENTION]
        );
        assert!(reasons(Some(&ended), &ended).is_empty());
    }
}
