//! Many objects at once, as the burst test and the benchmark create them, and what the operator makes of them.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use reeve_e2e::Mark;

use crate::lab::Lab;
use crate::operator::Operator;
use crate::site;
use crate::traffic::Traffic;
use crate::wait::until;

/// Of one object: account, role, binding and network policy, and for each of three modes Lease, Secret, Deployment.
pub const CHILDREN: usize = 13;

/// Tasks that create objects.
const CREATORS: usize = 8;

/// A number of objects.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many there are.
    pub objects: usize,
    /// How many offerings each has.
    pub offerings: usize,
}

impl Load {
    /// How long anything may take with all of them: several times what a busy machine needs.
    fn limit(self) -> Duration {
        Duration::from_mins(2) + Duration::from_millis(500) * u32::try_from(self.objects).unwrap_or(u32::MAX)
    }

    /// Creates them by several tasks at once; answers how long that took.
    pub async fn create(self, lab: &Lab) -> Duration {
        let start = Instant::now();
        let names = (0..self.objects).map(|number| format!("site-{number:05}"));
        let creations = stream::iter(names).map(|name| lab.create(site::site_of(&name, self.offerings)));
        creations.buffer_unordered(CREATORS).for_each(async |_| ()).await;
        start.elapsed()
    }

    /// Waits until all have their Deployments.
    pub async fn have_deployments(self, lab: &Lab) {
        let deployments = lab.api::<Deployment>();
        until("all objects have their Deployments", self.limit(), async || {
            // The server counts what one page leaves out; a list of them all would be a load of its own.
            let page = deployments.list_metadata(&ListParams::default().limit(1)).await;
            let page = page.expect("it can be listed");
            let rest = page.metadata.remaining_item_count.unwrap_or_default();
            page.items.len() + usize::try_from(rest).expect("a count") == site::MODES.len() * self.objects
        })
        .await;
    }

    /// Waits until the operator has applied every child since `mark`.
    pub async fn were_applied(self, lab: &Lab, mark: Mark) {
        let (mut end, mut writes) = (mark, 0);
        until("each child was applied", self.limit(), async || {
            let news = lab
                .cluster()
                .audit()
                .take(&mut end)
                .expect("the audit log can be read");
            writes += Traffic::of(news).child_writes().len();
            writes >= CHILDREN * self.objects
        })
        .await;
    }
}

/// Watches the operator do nothing for a while: prints and answers what it sends beyond renewals and watches.
pub async fn idle(lab: &Lab, operator: &Operator, time: Duration) -> Traffic {
    let (mark, start, before) = (lab.mark(), Instant::now(), operator.usage());
    until("the idle time is over", time * 2, async || {
        start.elapsed() >= time
    })
    .await;
    let cpu = operator.usage().cpu.saturating_sub(before.cpu);
    let traffic = lab.traffic(mark);
    let all = traffic.len();
    let sent = traffic.beyond_idling();
    println!(
        "  idle for {} s: {} requests, and {} for Lease and watches; CPU {:.2} s; {}",
        time.as_secs(),
        sent.len(),
        all - sent.len(),
        cpu.as_secs_f64(),
        operator.usage(),
    );
    sent
}
