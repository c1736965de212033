//! `failover`: asks the pod that leads a mode to hand over to one that stands by, by a word on the mode's Lease that
//! names the present term. Its supervisor lets the agent finish, frees the Lease and stands by.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use reeve_crds::{ModeState, ModeStatus, SiteAgent, names};
use reeve_operator::{
    controllers::site_agent::SiteAgents,
    engine::{Kind, Owner},
};
use serde_json::{Value, json};

use crate::{
    arguments::Failover,
    cluster::{Cluster, FIELD_MANAGER},
    exit::{Error, Outcome},
    kinds::Row,
    output::OutputError,
    progress::{Followed, Limit, NoSuchMode, Progress, words},
    verbs::{Console, get, label, one},
};

/// Why nothing was handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FailoverError {
    /// The object cannot be read as this version knows it.
    #[error(
        "the object does not fit this version's definition: {0}; take the plugin of the operator's version"
    )]
    Unreadable(#[from] serde_json::Error),
    /// It has no standbys.
    #[error("{0} has no standbys to hand over to; set spec.highAvailability.standbys")]
    NoStandbys(String),
    /// It has no such mode, or none at all.
    #[error(transparent)]
    NoSuchMode(#[from] NoSuchMode),
    /// Nobody could take over.
    #[error("{0}: no standby is ready ({1} of {2} pods are); wait for one, kubectl reeve status shows them")]
    NoneReady(String, i32, i32),
    /// Nobody leads.
    #[error("{0}: no pod holds Lease {1}, so there is nothing to hand over")]
    NotHeld(String, String),
    /// The Lease is not there, or may not be read or written.
    #[error("Lease {0}: the API server refuses: {1}")]
    Lease(String, String),
}

/// The Lease of a mode, and the term that is to end.
struct Term {
    mode: String,
    lease: String,
    holder: String,
    transitions: i32,
}

impl Term {
    /// The pod of the holder, `<pod name>_<pod uid>`.
    fn pod(&self) -> &str {
        pod(&self.holder)
    }
}

fn pod(holder: &str) -> &str {
    holder.split_once('_').map_or(holder, |(pod, _)| pod)
}

/// `failover`.
pub(crate) async fn failover(
    cluster: &Cluster,
    arguments: &Failover,
    console: Console<'_>,
) -> Result<Outcome, Error> {
    let (kind, name) = one(&arguments.target)?;
    let object = get(cluster, kind, &name).await?;
    let leases: Api<Lease> = cluster.namespaced();
    let mut terms = Vec::new();
    // All or none: a mode that cannot be handed over stops the others from being.
    for (mode, lease) in candidates(kind, &name, &object, arguments.only.mode.as_deref())? {
        terms.push(term(&leases, mode, lease).await?);
    }
    for term in &terms {
        ask(&leases, term).await?;
        let Term { mode, .. } = term;
        writeln!(
            console.out,
            "{} {mode}: asked pod {} to hand over",
            label(kind, &name),
            term.pod()
        )
        .map_err(OutputError::from)?;
    }
    if !arguments.wait {
        return Ok(Outcome::Reached);
    }
    console.out.flush().map_err(OutputError::from)?;
    let limit = Limit::start(arguments.timeout.get());
    let mut outcomes = Vec::new();
    for term in &terms {
        let followed = Followed {
            api: leases.clone(),
            name: &term.lease,
            about: &term.mode,
            late: "not handed over in the time given",
        };
        let over = followed.until_over(limit, |lease| progress(term, lease), console.err);
        let (outcome, sentence) = over.await?;
        writeln!(console.out, "{} {}: {sentence}", label(kind, &name), term.mode)
            .map_err(OutputError::from)?;
        outcomes.push(outcome);
    }
    Ok(Outcome::worst(outcomes))
}

/// The modes that are to be handed over, with their Leases, or why one cannot.
fn candidates(
    kind: &Row,
    name: &str,
    object: &Value,
    only: Option<&str>,
) -> Result<Vec<(String, String)>, FailoverError> {
    let object: SiteAgent = serde_json::from_value(object.clone())?;
    let label = label(kind, name);
    if object.spec.high_availability.standbys == 0 {
        return Err(FailoverError::NoStandbys(label));
    }
    let owner = Owner::of(SiteAgents::SLUG, &object);
    let modes = object.status.map(|status| status.modes).unwrap_or_default();
    let is_meant = |mode: &&ModeStatus| only.is_none_or(|only| mode.name.is_meant_by(only));
    let chosen: Vec<&ModeStatus> = modes.iter().filter(is_meant).collect();
    if chosen.is_empty() {
        let no_such_mode = NoSuchMode {
            object: label,
            mode: only.unwrap_or("at all").to_owned(),
            known: modes.iter().map(|mode| mode.name.to_string()).collect(),
        };
        return Err(no_such_mode.into());
    }
    let refused = chosen.iter().find(|mode| !has_ready_standby(mode));
    if let Some(mode) = refused {
        return Err(FailoverError::NoneReady(
            mode.name.to_string(),
            mode.ready,
            mode.desired,
        ));
    }
    let lease = |mode: &&ModeStatus| {
        let part = mode.name.to_string();
        let lease = owner.child_name(&[&part]);
        (part, lease)
    };
    Ok(chosen.iter().map(lease).collect())
}

/// A pod that leads and whose agent runs is ready itself.
fn has_ready_standby(mode: &ModeStatus) -> bool {
    let leading = i32::from(mode.state == Some(ModeState::Running));
    mode.ready > leading
}

async fn term(leases: &Api<Lease>, mode: String, lease: String) -> Result<Term, FailoverError> {
    let found = leases
        .get(&lease)
        .await
        .map_err(|error| refused(&lease, &error))?;
    let spec = found.spec.unwrap_or_default();
    match spec.holder_identity.filter(|holder| !holder.is_empty()) {
        Some(holder) => Ok(Term {
            mode,
            lease,
            holder,
            transitions: spec.lease_transitions.unwrap_or_default(),
        }),
        None => Err(FailoverError::NotHeld(mode, lease)),
    }
}

/// Writes the request. It names the term: should another begin meanwhile, it means nothing.
async fn ask(leases: &Api<Lease>, term: &Term) -> Result<(), FailoverError> {
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let asked = format!("{}/{}", term.holder, term.transitions);
    let patch = json!({"metadata": {"annotations": {names::ANNOTATION_STEP_DOWN: asked}}});
    let answer = leases
        .patch(&term.lease, &parameters, &Patch::Merge(&patch))
        .await;
    answer.map(drop).map_err(|error| refused(&term.lease, &error))
}

fn refused(lease: &str, error: &kube::Error) -> FailoverError {
    FailoverError::Lease(lease.to_owned(), words(error))
}

/// What a Lease says of a handover: it is over when the agent runs in another pod, or the same one took the Lease back.
fn progress(term: &Term, lease: &Lease) -> Progress {
    let spec = lease.spec.clone().unwrap_or_default();
    let annotations = lease.metadata.annotations.clone().unwrap_or_default();
    let said = |name: &str| annotations.get(name).map(String::as_str).unwrap_or_default();
    let Some(holder) = spec.holder_identity.filter(|holder| !holder.is_empty()) else {
        return Progress::Under("the Lease is free".to_owned());
    };
    let now = pod(&holder);
    if spec.lease_transitions.unwrap_or_default() == term.transitions {
        let message = said(names::ANNOTATION_MESSAGE);
        return Progress::Under(format!("pod {now} still leads: {message}"));
    }
    if holder == term.holder {
        let sentence = format!("pod {now} took over again, since no other did");
        return Progress::Over(Outcome::Failed, sentence);
    }
    match said(names::ANNOTATION_STATE) {
        "Running" => Progress::Over(Outcome::Reached, format!("pod {now} has taken over")),
        state => Progress::Under(format!("pod {now} leads, its agent is {state}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn site(standbys: u8, modes: &Value) -> Value {
        let reference = json!({"name": "waldur", "key": "token"});
        json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "SiteAgent",
            "metadata": {"name": "site", "namespace": "hpc", "uid": "u"},
            "spec": {
                "waldur": {"apiUrl": "https://waldur.example.org/api/", "tokenRef": reference},
                "offerings": [],
                "highAvailability": {"standbys": standbys},
            },
            "status": {"modes": modes},
        })
    }

    fn mode(name: &str, state: &str, ready: i32) -> Value {
        json!({"name": name, "desired": 2, "ready": ready, "state": state})
    }

    fn chosen(object: &Value, only: Option<&str>) -> Result<Vec<(String, String)>, String> {
        let kind = kinds::of_kind("SiteAgent").expect("a kind");
        candidates(kind, "site", object, only).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_mode_all_are_meant_and_one_that_cannot_stops_the_others() {
        let well = [mode("orders", "Running", 2), mode("reports", "BackOff", 1)];
        let pair = |mode: &str| (mode.to_owned(), format!("site-{mode}"));
        assert_eq!(
            chosen(&site(1, &json!(well)), None),
            Ok(vec![pair("orders"), pair("reports")])
        );
        assert_eq!(
            chosen(&site(1, &json!(well)), Some("orders")),
            Ok(vec![pair("orders")])
        );
        let alone = [mode("orders", "Running", 2), mode("reports", "Running", 1)];
        assert_eq!(
            chosen(&site(1, &json!(alone)), None).expect_err("no standby"),
            "reports: no standby is ready (1 of 2 pods are); wait for one, kubectl reeve status shows them"
        );
        assert!(chosen(&site(1, &json!(alone)), Some("orders")).is_ok());
    }

    #[test]
    fn a_mode_is_handed_over_in_all_its_pod_groups_or_in_the_one_that_is_named() {
        let modes = ["orders", "orders-root", "reports"].map(|name| mode(name, "Running", 2));
        let modes = json!(modes);
        let pair = |mode: &str| (mode.to_owned(), format!("site-{mode}"));
        assert_eq!(
            chosen(&site(1, &modes), Some("orders")),
            Ok(vec![pair("orders"), pair("orders-root")])
        );
        assert_eq!(
            chosen(&site(1, &modes), Some("orders-root")),
            Ok(vec![pair("orders-root")])
        );
    }

    #[test]
    fn what_cannot_be_handed_over_is_refused_with_the_remedy() {
        let modes = json!([mode("orders", "Running", 2)]);
        assert_eq!(
            chosen(&site(0, &modes), None).expect_err("no standbys"),
            "siteagent.reeve.dev/site has no standbys to hand over to; set spec.highAvailability.standbys"
        );
        assert_eq!(
            chosen(&site(1, &modes), Some("events")).expect_err("no such mode"),
            "siteagent.reeve.dev/site has no mode events; its modes are: orders"
        );
        let none = chosen(&site(1, &json!([])), None).expect_err("no modes");
        assert!(none.ends_with("its modes are: none yet"), "{none}");
    }

    #[test]
    fn a_handover_is_over_when_the_agent_runs_elsewhere() {
        let term = Term {
            mode: "orders".into(),
            lease: "site-orders".into(),
            holder: "a_1".into(),
            transitions: 4,
        };
        let lease = |holder: &str, transitions: i32, state: &str| -> Lease {
            let annotations = json!({"reeve.dev/state": state, "reeve.dev/message": "finishes"});
            serde_json::from_value(json!({
                "metadata": {"annotations": annotations},
                "spec": {"holderIdentity": holder, "leaseTransitions": transitions},
            }))
            .expect("a Lease")
        };
        let under = |sentence: &str| Progress::Under(sentence.to_owned());
        let over = |outcome, sentence: &str| Progress::Over(outcome, sentence.to_owned());
        for (lease, expected) in [
            (lease("a_1", 4, "Stopping"), under("pod a still leads: finishes")),
            (lease("", 4, "Stopping"), under("the Lease is free")),
            (
                lease("b_2", 5, "Starting"),
                under("pod b leads, its agent is Starting"),
            ),
            (
                lease("b_2", 5, "Running"),
                over(Outcome::Reached, "pod b has taken over"),
            ),
            (
                lease("a_1", 5, "Starting"),
                over(Outcome::Failed, "pod a took over again, since no other did"),
            ),
        ] {
            assert_eq!(progress(&term, &lease), expected);
        }
    }
}
