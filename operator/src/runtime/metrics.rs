//! Metrics, named as controller-runtime names them, so that existing dashboards work, and `reeve_*` for the
//! rest.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use super::process::ProcessCollector;
use crate::{
    controllers::deployment_rollout::RolloutMetrics,
    engine::{
        kind::{Count, Counted},
        queue::Depth,
    },
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    name: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Mode {
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Watch {
    watch: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    code: String,
    method: String,
    host: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconcile_total: Family<Outcome, Counter>,
    reconcile_errors: Family<Controller, Counter>,
    reconcile_panics: Family<Controller, Counter>,
    reconcile_time: Family<Controller, Histogram>,
    active_workers: Family<Controller, Gauge>,
    max_concurrent: Family<Controller, Gauge>,
    depth: Family<Named, Gauge>,
    queue_time: Family<Named, Histogram>,
    work_time: Family<Named, Histogram>,
    retries: Family<Named, Counter>,
    requests: Family<Request, Counter>,
    request_time: Histogram,
    leader: Family<Named, Gauge>,
    terms: Counter,
    watch_errors: Family<Watch, Counter>,
    objects: Family<Controller, Gauge>,
    failovers: Family<Mode, Counter>,
    put_backs: Family<Mode, Counter>,
    /// Those of rollouts.
    pub rollouts: RolloutMetrics,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassResult {
    /// As wanted.
    Success,
    /// It will be tried again.
    Error,
    /// The code failed; it will be tried again.
    Panic,
}

fn seconds() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("reeve_build", "Version of the operator", Info::new(version));
        registry.register_collector(Box::new(ProcessCollector));
        let mut metrics = Self {
            registry: Registry::default(),
            reconcile_total: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_panics: Family::default(),
            reconcile_time: Family::new_with_constructor(seconds),
            active_workers: Family::default(),
            max_concurrent: Family::default(),
            depth: Family::default(),
            queue_time: Family::new_with_constructor(seconds),
            work_time: Family::new_with_constructor(seconds),
            retries: Family::default(),
            requests: Family::default(),
            request_time: seconds(),
            leader: Family::default(),
            terms: Counter::default(),
            watch_errors: Family::default(),
            objects: Family::default(),
            failovers: Family::default(),
            put_backs: Family::default(),
            rollouts: RolloutMetrics::default(),
        };
        metrics.register(&mut registry);
        metrics.registry = registry;
        metrics
    }
}

impl Metrics {
    fn register(&self, r: &mut Registry) {
        r.register(
            "controller_runtime_reconcile",
            "Passes by result",
            self.reconcile_total.clone(),
        );
        r.register(
            "controller_runtime_reconcile_errors",
            "Passes that failed",
            self.reconcile_errors.clone(),
        );
        r.register(
            "controller_runtime_reconcile_panics",
            "Passes that panicked",
            self.reconcile_panics.clone(),
        );
        r.register(
            "controller_runtime_reconcile_time_seconds",
            "Length of a pass",
            self.reconcile_time.clone(),
        );
        r.register(
            "controller_runtime_active_workers",
            "Passes under way",
            self.active_workers.clone(),
        );
        let help = "Limit of passes under way";
        r.register(
            "controller_runtime_max_concurrent_reconciles",
            help,
            self.max_concurrent.clone(),
        );
        r.register(
            "workqueue_depth",
            "Objects that wait for a worker",
            self.depth.clone(),
        );
        let help = "How long objects waited for a worker";
        r.register("workqueue_queue_duration_seconds", help, self.queue_time.clone());
        r.register(
            "workqueue_work_duration_seconds",
            "How long workers took",
            self.work_time.clone(),
        );
        r.register(
            "workqueue_retries",
            "Passes tried again after a failure",
            self.retries.clone(),
        );
        r.register(
            "rest_client_requests",
            "Requests to the API server",
            self.requests.clone(),
        );
        let help = "Time to the answer's head";
        r.register(
            "rest_client_request_duration_seconds",
            help,
            self.request_time.clone(),
        );
        r.register(
            "leader_election_master_status",
            "1 while this replica leads",
            self.leader.clone(),
        );
        r.register(
            "reeve_leader_terms",
            "How often this replica took the lead",
            self.terms.clone(),
        );
        r.register(
            "reeve_watch_errors",
            "Failures of watches",
            self.watch_errors.clone(),
        );
        r.register("reeve_objects", "Objects known", self.objects.clone());
        let help = "How often a standby of a SiteAgent's mode took over, planned or not";
        r.register("reeve_site_agent_failovers", help, self.failovers.clone());
        let help =
            "How often a pod template of a SiteAgent's mode was put back, since no agent of it got to run";
        r.register("reeve_site_agent_rollouts_put_back", help, self.put_backs.clone());
        self.rollouts.register(r);
        // Known from the start, so that the first one shows as an increase.
        for mode in reeve_site_agent::Mode::ALL {
            for family in [&self.failovers, &self.put_backs] {
                drop(family.get_or_create(&Mode { mode: mode.slug() }));
            }
        }
    }

    /// A pass ended.
    pub fn pass(&self, controller: &'static str, result: PassResult, took: Duration) {
        let label = Controller { controller };
        let word = if result == PassResult::Success {
            "success"
        } else {
            "error"
        };
        self.reconcile_total
            .get_or_create(&Outcome {
                controller,
                result: word,
            })
            .inc();
        self.reconcile_time
            .get_or_create(&label)
            .observe(took.as_secs_f64());
        self.work_time
            .get_or_create(&Named { name: controller })
            .observe(took.as_secs_f64());
        if result != PassResult::Success {
            self.reconcile_errors.get_or_create(&label).inc();
            self.retries.get_or_create(&Named { name: controller }).inc();
        }
        if result == PassResult::Panic {
            self.reconcile_panics.get_or_create(&label).inc();
        }
    }

    /// An object was handed to a worker.
    pub fn picked(&self, controller: &'static str, waited: Duration) {
        self.queue_time
            .get_or_create(&Named { name: controller })
            .observe(waited.as_secs_f64());
    }

    /// The state of a queue.
    pub fn queue(&self, controller: &'static str, depth: Depth, limit: usize, objects: usize) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.depth
            .get_or_create(&Named { name: controller })
            .set(number(depth.ready));
        self.active_workers
            .get_or_create(&Controller { controller })
            .set(number(depth.running));
        self.max_concurrent
            .get_or_create(&Controller { controller })
            .set(number(limit));
        self.objects
            .get_or_create(&Controller { controller })
            .set(number(objects));
    }

    /// A request was answered, or failed (`code` is then `<error>`).
    pub fn request(&self, method: &str, host: &str, code: &str, took: Duration) {
        let label = Request {
            code: code.to_owned(),
            method: method.to_owned(),
            host: host.to_owned(),
        };
        self.requests.get_or_create(&label).inc();
        self.request_time.observe(took.as_secs_f64());
    }

    /// This replica leads, or not.
    pub fn leading(&self, leads: bool) {
        self.leader
            .get_or_create(&Named {
                name: reeve_crds::names::FIELD_MANAGER,
            })
            .set(i64::from(leads));
        if leads {
            self.terms.inc();
        }
    }

    /// A watch failed.
    pub fn watch_failed(&self, watch: &str) {
        self.watch_errors
            .get_or_create(&Watch {
                watch: watch.to_owned(),
            })
            .inc();
    }

    /// Something has happened to a mode.
    pub fn happened(&self, Count { what, mode, times }: Count) {
        let family = match what {
            Counted::Failover => &self.failovers,
            Counted::PutBack => &self.put_backs,
        };
        family.get_or_create(&Mode { mode }).inc_by(times);
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_controller_runtime() {
        let metrics = Metrics::default();
        metrics.pass("site-agent", PassResult::Error, Duration::from_millis(3));
        metrics.request("PATCH", "api:6443", "200", Duration::from_millis(3));
        metrics.leading(true);
        let text = metrics.text().expect("encodes");
        for line in [
            "controller_runtime_reconcile_total{controller=\"site-agent\",result=\"error\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"site-agent\"} 1",
            "workqueue_retries_total{name=\"site-agent\"} 1",
            "rest_client_requests_total{code=\"200\",method=\"PATCH\",host=\"api:6443\"} 1",
            "leader_election_master_status{name=\"reeve-operator\"} 1",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
