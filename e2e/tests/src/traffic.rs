//! What the operator asked of the API server, from the audit log.

use std::collections::BTreeMap;

use reeve_e2e::{Cluster, Mark, Request, peak_per_second};

use crate::lab::{ACCOUNT, SYSTEM};

/// Requests of the operator's account.
#[derive(Clone, Debug)]
pub struct Traffic(Vec<Request>);

impl Traffic {
    /// All after `mark`.
    pub fn since(cluster: &Cluster, mark: Mark) -> Self {
        Self::of(cluster.audit().since(mark).expect("the audit log can be read"))
    }

    /// Those of the operator's account among `requests`.
    pub fn of(mut requests: Vec<Request>) -> Self {
        let account = format!("system:serviceaccount:{SYSTEM}:{ACCOUNT}");
        requests.retain(|request| request.user == account);
        Self(requests)
    }

    /// Those that `keep` keeps.
    #[must_use]
    pub fn only(mut self, keep: impl FnMut(&Request) -> bool) -> Self {
        self.0.retain(keep);
        self
    }

    /// Without what an idle operator may send: renewals of its Lease, and watches re-established.
    #[must_use]
    pub fn beyond_idling(self) -> Self {
        self.only(|request| request.verb != "watch" && !is_election(request))
    }

    /// Requests for changes, those of the operator's own Lease left out.
    #[must_use]
    pub fn writes(self) -> Self {
        self.only(|request| request.is_write() && !is_election(request))
    }

    /// Requests for changes of children: status and events left out.
    #[must_use]
    pub fn child_writes(self) -> Self {
        self.writes()
            .only(|request| !request.resource.ends_with("/status") && request.resource != "events")
    }

    /// The requests, oldest first.
    pub fn requests(&self) -> &[Request] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many within the busiest second.
    pub fn peak(&self) -> usize {
        peak_per_second(&self.0)
    }

    /// How many by verb and resource.
    pub fn by_call(&self) -> BTreeMap<(&str, &str), usize> {
        let mut calls = BTreeMap::new();
        for request in &self.0 {
            *calls
                .entry((request.verb.as_str(), request.resource.as_str()))
                .or_default() += 1;
        }
        calls
    }

    /// How many by object: resource, namespace and name.
    pub fn by_object(&self) -> BTreeMap<(&str, &str, &str), usize> {
        let mut objects = BTreeMap::new();
        for request in &self.0 {
            let object = (
                request.resource.as_str(),
                request.namespace.as_str(),
                request.name.as_str(),
            );
            *objects.entry(object).or_default() += 1;
        }
        objects
    }

    /// Prints requests per object by verb and resource, for `objects` objects.
    pub fn print(&self, title: &str, objects: usize) {
        println!(
            "{title}: {} requests, at most {} in a second",
            self.len(),
            self.peak()
        );
        for ((verb, resource), count) in self.by_call() {
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let each = count as f64 / objects.max(1) as f64;
            println!("  {verb:>7} {resource:<24} {count:>7}  {each:>7.2} per object");
        }
    }
}

fn is_election(request: &Request) -> bool {
    request.resource == "leases" && request.namespace == SYSTEM
}
