//! A simulation: several candidates, a server with delays, lost calls and outages, processes that lag.
//! Whatever happens, effects of two terms are never live at the same moment. (Deleting the lease deletes the promise
//! for those who have not seen it, so that is not among what happens here.)

mod memory;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::SignedDuration;
use memory::{BadClock, Fate, Server, settings};
use proptest::prelude::*;
use reeve_election::{Election, Elector, Role};
use tokio::time::sleep;

/// How late a process may wake, and how long its effects take to stop: together less than the margin of 5 s.
const LATE: u64 = 2400;
const STOPPING: u64 = 2500;

#[derive(Clone, Debug)]
enum Happening {
    Fates(Vec<(u16, u16, u8)>),
    Away(u16),
    Deaf(u16),
    Annotate,
    Release(usize),
    Join(usize),
}

fn happening() -> impl Strategy<Value = (u16, Happening)> {
    let fates = prop::collection::vec((0..4000_u16, 0..4000_u16, 0..4_u8), 1..12).prop_map(Happening::Fates);
    let kind = prop_oneof![
        6 => fates,
        2 => (0..40_000_u16).prop_map(Happening::Away),
        2 => (0..40_000_u16).prop_map(Happening::Deaf),
        1 => Just(Happening::Annotate),
        2 => (0..3_usize).prop_map(Happening::Release),
        1 => (0..3_usize).prop_map(Happening::Join),
    ];
    (0..20_000_u16, kind)
}

type Live = Arc<Mutex<BTreeSet<String>>>;

/// Has effects whenever it leads, and lets them go slowly.
async fn work(name: String, election: Election, live: Live, stopping: Duration) {
    let mut role = election.role();
    loop {
        let leading =
            role.wait_for(|role| matches!(role, Role::Leader(term) if !term.revoked().is_cancelled()));
        let Ok(Role::Leader(term)) = leading.await.as_deref().cloned() else {
            return;
        };
        let _guard = term.guard();
        if term.revoked().is_cancelled() {
            continue;
        }
        {
            let mut live = live.lock().expect("unpoisoned");
            live.insert(name.clone());
            assert_eq!(live.len(), 1, "two with live effects: {live:?}");
        }
        term.revoked().cancelled().await;
        sleep(stopping).await;
        live.lock().expect("unpoisoned").remove(&name);
    }
}

struct World {
    server: Server,
    live: Live,
    elections: Vec<Election>,
    work: tokio::task::JoinSet<()>,
    lags: Vec<(u64, u64)>,
    joined: usize,
}

impl World {
    fn stand(&mut self, n: usize) -> Election {
        let (late, stopping) = self.lags[n];
        let clock = BadClock {
            off_by: SignedDuration::from_hours(1000 * i64::try_from(n).expect("small")),
            late_by: Duration::from_millis(late),
        };
        let name = format!("{n}-{}", self.joined);
        let elector = Elector::with_clock(settings(&name), self.server.clone(), clock).expect("valid");
        let election = elector.start();
        self.work.spawn(work(
            name,
            election.clone(),
            self.live.clone(),
            Duration::from_millis(stopping),
        ));
        election
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Fates(fates) => self
                .server
                .meet(fates.into_iter().map(|(there, back, kind)| Fate {
                    there: Duration::from_millis(there.into()),
                    back: Duration::from_millis(back.into()),
                    lost: kind == 1,
                    unanswered: kind == 2,
                })),
            Happening::Away(millis) => self.for_a_while(millis, Server::set_away),
            Happening::Deaf(millis) => self.for_a_while(millis, Server::set_deaf),
            Happening::Annotate => self.server.edit(|record| {
                if let Some(record) = record {
                    record.annotations.insert("by".into(), "others".into());
                }
            }),
            Happening::Release(n) => {
                let leaving = self.elections[n].clone();
                tokio::spawn(async move { leaving.release().await });
                self.join(n);
            }
            Happening::Join(n) => self.join(n),
        }
    }

    fn join(&mut self, n: usize) {
        self.joined += 1;
        self.elections[n] = self.stand(n);
    }

    fn for_a_while(&self, millis: u16, set: fn(&Server, bool)) {
        let server = self.server.clone();
        set(&server, true);
        tokio::spawn(async move {
            sleep(Duration::from_millis(millis.into())).await;
            set(&server, false);
        });
    }
}

async fn simulate(lags: Vec<(u64, u64)>, happenings: Vec<(u16, Happening)>) {
    let mut world = World {
        server: Server::new(),
        live: Live::default(),
        elections: Vec::new(),
        work: tokio::task::JoinSet::new(),
        lags,
        joined: 0,
    };
    for n in 0..3 {
        let election = world.stand(n);
        world.elections.push(election);
    }
    for (pause, happening) in happenings {
        sleep(Duration::from_millis(pause.into())).await;
        world.happen(happening);
    }
    // When all is well again, somebody leads.
    world.server.be_well();
    sleep(Duration::from_mins(2)).await;
    assert_eq!(world.live.lock().expect("unpoisoned").len(), 1, "nobody leads");
    for election in &world.elections {
        assert!(
            tokio::time::timeout(Duration::from_millis(1), election.failed())
                .await
                .is_err()
        );
    }
    while let Some(finished) = world.work.try_join_next() {
        finished.expect("no two had live effects");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn effects_of_two_terms_are_never_live_at_once(
        lags in prop::collection::vec((0..LATE, 0..STOPPING), 3),
        happenings in prop::collection::vec(happening(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("builds");
        runtime.block_on(simulate(lags, happenings));
    }
}
