//! The verbs that need a cluster: `status`, `reconcile`, `suspend`, `resume`; `failover`, `diagnose`, `restart` and `logs`
//! have files of their own.

use std::io::Write;

use jiff::Timestamp;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use reeve_crds::names;
use serde_json::{Value, json};

use crate::{
    arguments::{Document, Format, Reconcile, Status, Target, Verb},
    cluster::{Cluster, FIELD_MANAGER},
    exit::{Error, Outcome},
    follow::{Follow, Followed},
    kinds::{self, Row},
    output::{OutputError, write_document},
    rollouts,
    status::{State, Verdict, list, view},
};

/// Where the verbs write.
pub(crate) struct Console<'a> {
    /// Results.
    pub(crate) out: &'a mut (dyn Write + Send),
    /// Progress and remarks.
    pub(crate) err: &'a mut (dyn Write + Send),
}

/// `status`.
pub(crate) async fn status(
    cluster: &Cluster,
    arguments: &Status,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (kind, name) = target(&arguments.target)?;
    let Some(name) = name else {
        if arguments.watch {
            return Err(Error::Usage(
                "--watch follows one object: give its name".to_owned(),
            ));
        }
        return status_of_all(cluster, kind, arguments, console).await;
    };
    if arguments.all_namespaces {
        return Err(Error::Usage(
            "-A shows all objects: leave the name out".to_owned(),
        ));
    }
    // Read first, even to follow it: what is not there or not allowed shows at once.
    let mut object = get(cluster, kind, &name).await?;
    let mut outcome = Verdict::of(&object).state.outcome();
    if arguments.watch && kind.name == "DeploymentRollout" {
        let limit = arguments.timeout.get();
        let quiet = arguments.output != Format::Table;
        let followed = rollouts::watch(cluster, &name, limit, quiet, console.err).await?;
        outcome = followed.outcome;
        object = followed.object.unwrap_or(object);
    } else if arguments.watch {
        let limit = arguments.timeout.get();
        let follow = Follow {
            cluster,
            kind,
            name: &name,
            limit,
            verdict: Verdict::of,
        };
        let followed = follow.run(console.err).await?;
        outcome = followed.outcome;
        object = followed.object.unwrap_or(object);
    }
    if let Some(format) = arguments.output.document() {
        write_document(console.out, &object, format)?;
    } else {
        let text = view(kind, &object, Timestamp::now());
        write!(console.out, "{text}").map_err(OutputError::from)?;
    }
    Ok(outcome)
}

async fn status_of_all(
    cluster: &Cluster,
    kind: &'static Row,
    arguments: &Status,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let everywhere = arguments.all_namespaces;
    let api = if everywhere {
        cluster.api_everywhere(kind)
    } else {
        cluster.api(kind)
    };
    let found = api
        .list(&ListParams::default())
        .await
        .map_err(|error| cluster.explain(&error, kind, ""))?;
    let objects = found
        .items
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>();
    let objects = objects.map_err(OutputError::from)?;
    let outcome = Outcome::worst(objects.iter().map(|object| Verdict::of(object).state.outcome()));
    if let Some(format) = arguments.output.document() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        write_document(console.out, &list, format)?;
    } else if objects.is_empty() {
        let place = if everywhere {
            "any namespace".to_owned()
        } else {
            format!("namespace {}", cluster.namespace)
        };
        let hint = if everywhere {
            ""
        } else {
            "; -A looks in all namespaces"
        };
        writeln!(console.err, "no {} in {place}{hint}", kind.name).map_err(OutputError::from)?;
    } else {
        let text = list(&objects, everywhere, Timestamp::now());
        write!(console.out, "{text}").map_err(OutputError::from)?;
    }
    Ok(outcome)
}

/// `reconcile`.
pub(crate) async fn reconcile(
    cluster: &Cluster,
    arguments: &Reconcile,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (kind, name) = one(&arguments.target)?;
    let token = Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {names::ANNOTATION_RECONCILE: token}}});
    let object = merge(cluster, kind, &name, &patch).await?;
    if object["spec"]["suspend"] == true {
        let remark = "is suspended: the operator looks at it and changes nothing";
        writeln!(console.err, "{} {remark}", label(kind, &name)).map_err(OutputError::from)?;
    }
    writeln!(console.out, "{} asked to reconcile", label(kind, &name)).map_err(OutputError::from)?;
    if !arguments.wait {
        return Ok(Outcome::Reached);
    }
    console.out.flush().map_err(OutputError::from)?;
    let limit = arguments.timeout.get();
    let follow = Follow {
        cluster,
        kind,
        name: &name,
        limit,
        verdict: Verdict::once_handled,
    };
    let Followed { outcome, object } = follow.run(console.err).await?;
    let state = object
        .as_ref()
        .map_or(State::InProgress, |object| Verdict::once_handled(object).state);
    writeln!(
        console.out,
        "{} {}",
        label(kind, &name),
        state.name().to_lowercase()
    )
    .map_err(OutputError::from)?;
    Ok(outcome)
}

/// `suspend` and `resume`.
pub(crate) async fn suspend(
    cluster: &Cluster,
    target: &Target,
    suspend: bool,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (kind, name) = one(target)?;
    let object = get(cluster, kind, &name).await?;
    let is = object["spec"]["suspend"] == true;
    let done = match (suspend, is) {
        (true, true) => "already suspended",
        (false, false) => "not suspended",
        (true, false) => "suspended",
        (false, true) => "resumed",
    };
    if is != suspend {
        merge(cluster, kind, &name, &json!({"spec": {"suspend": suspend}})).await?;
    }
    writeln!(console.out, "{} {done}", label(kind, &name)).map_err(OutputError::from)?;
    Ok(Outcome::Reached)
}

/// Refuses a target that means nothing, before a cluster is looked for.
pub(crate) fn check(verb: &Verb) -> Result<(), Error> {
    match verb {
        Verb::Status(status) => target(&status.target).map(drop),
        Verb::Reconcile(reconcile) => one(&reconcile.target).map(drop),
        Verb::Suspend(target) | Verb::Resume(target) => one(target).map(drop),
        Verb::Failover(failover) => one(&failover.target).map(drop),
        Verb::Diagnose(diagnose) => one(&diagnose.target).map(drop),
        Verb::Restart(restart) => one(&restart.target).map(drop),
        Verb::Logs(logs) => one(&logs.target).map(drop),
        Verb::Rollout(verb) => rollouts::name(verb.rollout()).map(drop),
        Verb::Plan(plan) => plan
            .rollout
            .as_deref()
            .map_or(Ok(()), |name| rollouts::name(name).map(drop)),
        Verb::Render(_)
        | Verb::Validate(_)
        | Verb::Crds { .. }
        | Verb::Import(_)
        | Verb::Completion { .. } => Ok(()),
    }
}

/// What `KIND [NAME]` or `KIND/NAME` means.
fn target(target: &Target) -> Result<(&'static Row, Option<String>), Error> {
    let (word, name) = match (target.kind.split_once('/'), &target.name) {
        (None, name) => (target.kind.as_str(), name.clone()),
        (Some((word, name)), None) if !name.is_empty() => (word, Some(name.to_owned())),
        (Some(_), _) => return Err(Error::Usage("write KIND NAME or KIND/NAME".to_owned())),
    };
    let kind = kinds::of_word(word).ok_or_else(|| {
        let meant = name.as_deref().unwrap_or(word);
        let meant: Vec<_> = kinds::KINDS
            .iter()
            .map(|row| format!("{}/{meant}", row.name.to_lowercase()))
            .collect();
        let known = kinds::words().join(", ");
        let meant = meant.join(" or ");
        Error::Usage(format!(
            "{word:?} is not a kind of Reeve; write {meant} (kinds: {known})"
        ))
    })?;
    if let Some(wrong) = name.as_deref().filter(|name| !is_object_name(name)) {
        return Err(Error::Usage(format!(
            "{wrong:?} cannot be the name of an object, which has lower-case letters, digits, '-' and '.' only"
        )));
    }
    Ok((kind, name))
}

/// Whether the API server would store an object of that name; with a slash it would lead to another path.
fn is_object_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    name.len() <= 253 && !name.starts_with(['-', '.']) && name.chars().all(inner)
}

/// What `KIND NAME` or `KIND/NAME` means, where one object has to be named.
pub(crate) fn one(arguments: &Target) -> Result<(&'static Row, String), Error> {
    let (kind, name) = target(arguments)?;
    let name = name.ok_or_else(|| {
        let kind = kind.name.to_lowercase();
        Error::Usage(format!(
            "give the name of an object, {kind}/NAME; kubectl reeve status {kind} lists them"
        ))
    })?;
    Ok((kind, name))
}

/// As kubectl names objects: `siteagent.reeve.dev/site`.
pub(crate) fn label(kind: &Row, name: &str) -> String {
    format!("{}.{}/{name}", kind.name.to_lowercase(), names::GROUP)
}

/// The one object that is meant, and what it is called.
pub(crate) async fn meant(cluster: &Cluster, arguments: &Target) -> Result<(Value, String), Error> {
    let (kind, name) = one(arguments)?;
    let object = get(cluster, kind, &name).await?;
    Ok((object, label(kind, &name)))
}

/// Selects what belongs to an object.
pub(crate) fn owned_by(object: &Value) -> String {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    format!("{}={uid}", names::LABEL_OWNER_UID)
}

/// Reads an object.
pub(crate) async fn get(cluster: &Cluster, kind: &Row, name: &str) -> Result<Value, Error> {
    let object = cluster.api(kind).get(name).await;
    value(object.map_err(|error| cluster.explain(&error, kind, name))?)
}

/// Changes an object by a merge patch.
pub(crate) async fn merge(cluster: &Cluster, kind: &Row, name: &str, patch: &Value) -> Result<Value, Error> {
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let object = cluster
        .api(kind)
        .patch(name, &parameters, &Patch::Merge(patch))
        .await;
    value(object.map_err(|error| cluster.explain(&error, kind, name))?)
}

fn value(object: DynamicObject) -> Result<Value, Error> {
    Ok(serde_json::to_value(object).map_err(OutputError::from)?)
}

/// The definitions, for `kubectl apply`.
pub(crate) fn crds(format: Document, out: &mut dyn Write) -> Result<Outcome, Error> {
    let definitions = reeve_crds::definitions()
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>();
    crate::output::write_documents(out, &definitions.map_err(OutputError::from)?, format)?;
    Ok(Outcome::Reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: &str, name: Option<&str>) -> Result<(&'static str, Option<String>), String> {
        let arguments = Target {
            kind: kind.into(),
            name: name.map(ToOwned::to_owned),
        };
        target(&arguments)
            .map(|(kind, name)| (kind.name, name))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_object_is_named_in_both_ways_of_kubectl() {
        let expected = Ok(("SiteAgent", Some("site".to_owned())));
        assert_eq!(parsed("sag", Some("site")), expected);
        assert_eq!(parsed("SiteAgents/site", None), expected);
        assert_eq!(parsed("siteagent", None), Ok(("SiteAgent", None)));
    }

    #[test]
    fn a_wrong_target_says_what_to_write() {
        assert!(
            parsed("pod", None)
                .expect_err("refused")
                .contains("siteagent, siteagents, sag")
        );
        for (kind, name) in [
            ("sag/", None),
            ("sag/a", Some("b")),
            ("sag/a/status", None),
            ("sag", Some("A b")),
        ] {
            assert!(parsed(kind, name).is_err());
        }
    }

    #[test]
    fn a_name_without_its_kind_is_completed() {
        for (kind, name) in [("site", None), ("site-agent", Some("site")), ("pod/site", None)] {
            let message = parsed(kind, name).expect_err("refused");
            assert!(message.contains("write siteagent/site "), "{message}");
        }
        let target = Target {
            kind: "sag".into(),
            name: None,
        };
        let message = one(&target).map(|_| ()).expect_err("refused").to_string();
        assert!(
            message.contains("kubectl reeve status siteagent lists them"),
            "{message}"
        );
    }
}
