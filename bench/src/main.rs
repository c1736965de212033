//! Measures the operator with many objects on an API server without nodes; bench/README.md has the figures.
//! Usage: `reeve-bench [--objects N] [--offerings N] [--requests-per-second N] [--idle-seconds N]`, the operator by `REEVE_OPERATOR`.

use std::time::{Duration, Instant};

use clap::Parser;
use reeve_e2e::Program;
use reeve_e2e_tests::{CHILDREN, Lab, Load, Operator, bring_up, idle, perform, site};

/// What the operator costs with many objects.
#[derive(Clone, Copy, Debug, Parser)]
struct Flags {
    /// `SiteAgent`s, each with 13 children.
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// Offerings of each.
    #[arg(long, default_value_t = 1)]
    offerings: usize,
    /// The operator's `--max-requests-per-second`.
    #[arg(long, default_value_t = 200)]
    requests_per_second: usize,
    /// How long it is watched doing nothing.
    #[arg(long, default_value_t = 240)]
    idle_seconds: u64,
}

impl Flags {
    fn load(self) -> Load {
        Load {
            objects: self.objects,
            offerings: self.offerings,
        }
    }
}

fn main() {
    let flags = Flags::parse();
    println!(
        "{} objects of {} offerings, at most {} requests per second",
        flags.objects, flags.offerings, flags.requests_per_second
    );
    perform(&bring_up(), "bench", async |lab| measure(lab, flags).await);
}

async fn measure(lab: &Lab, flags: Flags) {
    // Its own work on the Deployments would take minutes and hide the operator's.
    lab.cluster()
        .stop(Program::ControllerManager)
        .expect("it can be stopped");
    lab.create_secret(site::token("waldur")).await;
    burst(lab, flags).await;
    cold_start(lab, flags).await;
}

async fn lead(lab: &Lab, name: &str, flags: Flags) -> Operator {
    let pace = format!("--max-requests-per-second={}", flags.requests_per_second);
    lab.operator(name).flag(pace).lead().await
}

/// Into an idle operator, from eight tasks.
async fn burst(lab: &Lab, flags: Flags) {
    let load = flags.load();
    let mut operator = lead(lab, "burst", flags).await;
    println!("burst into an idle operator: {}", operator.usage());
    let (mark, start) = (lab.mark(), Instant::now());
    let created = load.create(lab).await;
    println!("  created in {:.1} s", created.as_secs_f64());
    load.have_deployments(lab).await;
    report("all have their Deployments", load, start, &operator);
    lab.settled(mark).await.print("  requests", load.objects);
    idle(lab, &operator, Duration::from_secs(flags.idle_seconds)).await;
    operator.stop().await;
}

/// All objects exist when the operator starts; it applies each child once.
async fn cold_start(lab: &Lab, flags: Flags) {
    let load = flags.load();
    println!("start of an operator over all objects");
    let (mark, start) = (lab.mark(), Instant::now());
    let mut operator = lead(lab, "start", flags).await;
    println!(
        "  leads with full caches after {:.1} s; {}",
        start.elapsed().as_secs_f64(),
        operator.usage()
    );
    load.were_applied(lab, mark).await;
    report("all applied", load, start, &operator);
    lab.settled(mark).await.print("  requests", load.objects);
    idle(lab, &operator, Duration::from_secs(flags.idle_seconds)).await;
    operator.stop().await;
}

fn report(what: &str, load: Load, start: Instant, operator: &Operator) {
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let (objects, children) = (load.objects as f64, (load.objects * CHILDREN) as f64);
    println!(
        "  {what} after {seconds:.1} s ({:.1} objects, {:.0} children per second); {}",
        objects / seconds,
        children / seconds,
        operator.usage()
    );
}
