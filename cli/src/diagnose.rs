//! `diagnose`: has the operator look from a pod like the agents' own whether they could work, and shows what it found.

use jiff::Timestamp;
use reeve_crds::names;
use serde_json::{Value, json};

use crate::{
    arguments::Diagnose,
    cluster::Cluster,
    exit::{Error, Outcome},
    follow::{Follow, Followed},
    output::{OutputError, write_document},
    progress::is_meant,
    status::{State, Verdict, site_agent::preflights},
    verbs::{Console, get, label, merge, one},
};

/// `diagnose`.
pub(crate) async fn diagnose(
    cluster: &Cluster,
    arguments: &Diagnose,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (kind, name) = one(&arguments.target)?;
    let object = get(cluster, kind, &name).await?;
    if object["spec"]["suspend"] == true {
        let remark = "is suspended: nothing is started for it; kubectl reeve resume lets the operator go on";
        writeln!(console.err, "{} {remark}", label(kind, &name)).map_err(OutputError::from)?;
        return Ok(Outcome::Paused);
    }
    let patch = json!({"metadata": {"annotations": {names::ANNOTATION_DIAGNOSE: request(arguments, Timestamp::now())}}});
    merge(cluster, kind, &name, &patch).await?;
    let follow = Follow {
        cluster,
        kind,
        name: &name,
        limit: arguments.timeout.get(),
        verdict: once_diagnosed,
    };
    let Followed { outcome, object } = follow.run(console.err).await?;
    let found = object.map(|object| results(&object)).unwrap_or_default();
    if let Some(format) = arguments.output.document() {
        write_document(console.out, &Value::Array(found), format)?;
    } else {
        let table = preflights(&found, Timestamp::now());
        write!(console.out, "{}", table.to_text()).map_err(OutputError::from)?;
    }
    Ok(outcome)
}

/// What the annotation says: `<token>`, `<token>/<mode>` or `<token>/<mode>-<group>`.
fn request(arguments: &Diagnose, now: Timestamp) -> String {
    match &arguments.only.mode {
        Some(mode) => format!("{now}/{mode}"),
        None => now.to_string(),
    }
}

/// What is said of the modes that the object's request means.
fn results(object: &Value) -> Vec<Value> {
    let asked = object["metadata"]["annotations"][names::ANNOTATION_DIAGNOSE].as_str();
    let only = asked
        .and_then(|asked| asked.rsplit_once('/'))
        .map(|(_, only)| only);
    let found = object["status"]["preflight"].as_array().into_iter().flatten();
    found
        .filter(|status| only.is_none_or(|only| is_meant(status["mode"].as_str().unwrap_or_default(), only)))
        .cloned()
        .collect()
}

/// The verdict on the request that the object carries.
fn once_diagnosed(object: &Value) -> Verdict {
    let verdict = |state, reason: &str, message: String| Verdict {
        state,
        reason: reason.to_owned(),
        message,
    };
    let general = Verdict::of(object);
    if [State::Terminating, State::Suspended].contains(&general.state) {
        return general;
    }
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let invalid = conditions.clone().find(|condition| {
        condition["type"] == names::CONDITION_CONFIG_VALID
            && condition["status"] == "False"
            && condition["observedGeneration"] == object["metadata"]["generation"]
    });
    if let Some(condition) = invalid {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        return verdict(State::Failed, text("reason"), text("message").to_owned());
    }
    let asked = object["metadata"]["annotations"][names::ANNOTATION_DIAGNOSE].as_str();
    let (found, handled) = (results(object), object["status"]["lastHandledDiagnose"].as_str());
    let sentence = |status: &Value| {
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let message = text("message");
        let colon = if message.is_empty() { "" } else { ": " };
        format!(
            "{} {}{colon}{message}",
            text("mode"),
            text("result").to_lowercase()
        )
    };
    let message = found.iter().map(sentence).collect::<Vec<_>>().join("; ");
    if asked != handled {
        let message = if message.is_empty() {
            "the operator has not seen the request yet".to_owned()
        } else {
            message
        };
        return verdict(State::InProgress, names::REASON_PREFLIGHT, message);
    }
    if found.is_empty() {
        let message = "the object has no such mode; kubectl reeve status shows those that it has".to_owned();
        return verdict(State::Failed, "", message);
    }
    if found.iter().all(|status| status["result"] == "Passed") {
        verdict(State::Passed, "", message)
    } else {
        verdict(State::Failed, names::REASON_PREFLIGHT_FAILED, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(asked: &str, handled: &str, results: &[(&str, &str)]) -> Value {
        let results = results
            .iter()
            .map(|(mode, result)| json!({"mode": mode, "result": result, "message": "why"}));
        json!({
            "metadata": {"generation": 1, "annotations": {"reeve.dev/diagnose": asked}},
            "status": {
                "observedGeneration": 1, "lastHandledDiagnose": handled,
                "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded"}],
                "preflight": results.collect::<Vec<_>>(),
            },
        })
    }

    #[test]
    fn a_request_is_answered_when_the_operator_says_so_and_by_the_modes_that_it_means() {
        let state = |object: Value| once_diagnosed(&object).state;
        let mixed = [("orders", "Passed"), ("reports", "Failed")];
        assert_eq!(state(object("t2", "t1", &mixed)), State::InProgress);
        assert_eq!(state(object("t2", "t2", &mixed)), State::Failed);
        assert_eq!(state(object("t2/orders", "t2/orders", &mixed)), State::Passed);
        assert_eq!(state(object("t2/events", "t2/events", &mixed)), State::Failed);
        let mut groups = object("t2/reports", "t2/reports", &mixed);
        groups["status"]["preflight"][0] = json!({"mode": "reports-root", "result": "Passed"});
        assert_eq!(state(groups.clone()), State::Failed, "one of its groups");
        for field in [
            "/metadata/annotations/reeve.dev~1diagnose",
            "/status/lastHandledDiagnose",
        ] {
            *groups.pointer_mut(field).expect("it is there") = "t2/reports-root".into();
        }
        assert_eq!(state(groups), State::Passed);
    }

    #[test]
    fn a_spec_that_is_not_valid_is_the_answer() {
        let mut object = object("t2", "t1", &[]);
        object["status"]["conditions"] = json!([{
            "type": "ConfigValid", "status": "False", "reason": "InvalidSpec", "message": "spec.x: wrong",
            "observedGeneration": 1,
        }]);
        let verdict = once_diagnosed(&object);
        assert_eq!(
            (verdict.state, verdict.message.as_str()),
            (State::Failed, "spec.x: wrong")
        );
        assert_eq!(verdict.state.outcome(), Outcome::Failed);
    }
}
