//! What `/readyz` answers: whether the pod does what it is there for.
//! Without standbys that is to lead: a pod that waits for the Lease of one that is gone must not look as if it worked.

use reeve_election::Snapshot;

use crate::plan::State;

/// Why the pod is not ready; `None` when it is. `message` is the plan's sentence on `state`.
pub fn unready(state: State, message: &str, lease: &Snapshot, ready_as_candidate: bool) -> Option<String> {
    match state {
        State::Running => None,
        State::Standby if !lease.reachable => Some("the Lease cannot be reached".to_owned()),
        State::Standby if ready_as_candidate => None,
        State::Standby => Some(waiting_for(lease.holder.as_deref())),
        _ => Some(message.to_owned()),
    }
}

fn waiting_for(holder: Option<&str>) -> String {
    match holder {
        Some(holder) => {
            format!("waits until {holder} releases the Lease, or until the Lease expires")
        }
        None => "waits for the Lease".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>) -> Snapshot {
        Snapshot {
            holder: holder.map(ToOwned::to_owned),
            reachable: true,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_candidate_is_ready_only_where_standing_by_is_its_purpose() {
        let held = lease(Some("site-orders-1_uid"));
        assert_eq!(unready(State::Standby, "stands by", &held, true), None);
        let why = unready(State::Standby, "stands by", &held, false).expect("not ready");
        assert!(
            why.contains("until site-orders-1_uid releases the Lease"),
            "{why}"
        );
        assert_eq!(
            unready(State::Standby, "stands by", &lease(None), false).as_deref(),
            Some("waits for the Lease")
        );
    }

    #[test]
    fn a_lease_that_cannot_be_reached_makes_no_candidate_ready() {
        for ready_as_candidate in [false, true] {
            let why = unready(State::Standby, "", &Snapshot::default(), ready_as_candidate);
            assert_eq!(why.as_deref(), Some("the Lease cannot be reached"));
        }
    }

    #[test]
    fn a_holder_is_ready_only_while_its_command_runs_well() {
        let held = lease(Some("this pod"));
        assert_eq!(unready(State::Running, "the command runs", &held, false), None);
        for state in [State::Starting, State::Unhealthy, State::BackOff, State::Stopping] {
            let why = unready(state, "the plan's sentence", &held, true);
            assert_eq!(why.as_deref(), Some("the plan's sentence"), "{state:?}");
        }
    }
}
