//! Whatever objects come, change and go, and in whatever order passes run: nothing is ever done by two, and what one
//! lets go another gets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::*;

const PARTS: [&str; 2] = ["orders", "events"];

fn key(object: usize) -> ObjectKey {
    ObjectKey::new("hpc", format!("site-{object}"))
}

fn uid(object: usize, life: usize) -> String {
    format!("{object}-{life}")
}

fn member(object: usize, life: usize, generation: i64, bids: &BTreeMap<u8, usize>) -> Member<u8> {
    let bid = |(claim, part): (&u8, &usize)| Bid {
        claim: *claim,
        part: PARTS[*part].to_owned(),
        what: format!("claim {claim}"),
    };
    Member {
        key: key(object),
        seniority: Seniority::new(
            jiff::Timestamp::from_second(i64::try_from(object / 2).unwrap_or_default()).ok(),
            &uid(object, life),
        ),
        generation,
        bids: bids.iter().map(bid).collect(),
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// Created or changed.
    Spec(usize, BTreeMap<u8, usize>),
    Delete(usize),
    Pass(usize),
    /// Found invalid, or suspended.
    Leave(usize),
    /// Its old pods end.
    Ended(usize),
    /// Another replica begins to lead.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let object = || 0_usize..4;
    let bids = proptest::collection::btree_map(0_u8..3, 0_usize..2, 0..3);
    prop_oneof![
        3 => (object(), bids).prop_map(|(object, bids)| Event::Spec(object, bids)),
        1 => object().prop_map(Event::Delete),
        5 => object().prop_map(Event::Pass),
        1 => object().prop_map(Event::Leave),
        3 => object().prop_map(Event::Ended),
        1 => Just(Event::Restart),
    ]
}

/// An object with its pods: what any of them may be doing.
#[derive(Clone, Debug, Default)]
struct Site {
    life: usize,
    generation: i64,
    bids: Option<BTreeMap<u8, usize>>,
    running: BTreeSet<(u8, String)>,
}

/// A cluster: the objects, and the pods of those that were deleted.
#[derive(Default)]
struct World {
    index: Index<u8>,
    sites: BTreeMap<usize, Site>,
    ghosts: BTreeMap<String, (usize, BTreeSet<(u8, String)>)>,
    /// Pods of objects that this replica never saw.
    strangers: BTreeSet<String>,
    queue: BTreeSet<usize>,
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Spec(object, bids) => {
                let site = self.sites.entry(object).or_default();
                site.generation += 1;
                site.bids = Some(bids.clone());
                let member = member(object, site.life, site.generation, &bids);
                self.index.note(&uid(object, site.life), member);
                self.queue.insert(object);
            }
            Event::Delete(object) => {
                let Some(site) = self.sites.get_mut(&object).filter(|site| site.bids.is_some()) else {
                    return;
                };
                let former = (object, std::mem::take(&mut site.running));
                self.ghosts.insert(uid(object, site.life), former);
                (site.life, site.generation, site.bids) = (site.life + 1, 0, None);
                self.index.deleted(&key(object));
            }
            Event::Pass(object) => self.pass(object),
            Event::Leave(object) => {
                if let Some((uid, _)) = self.alive(object) {
                    self.index.leave(&uid);
                    self.queue.remove(&object);
                }
            }
            Event::Ended(object) => self.end(object),
            Event::Restart => self.restart(),
        }
        for object in self.index.woken() {
            self.queue.extend((0..4).find(|number| key(*number) == object));
        }
        self.nothing_is_done_twice();
    }

    fn alive(&self, object: usize) -> Option<(String, &Site)> {
        let site = self.sites.get(&object).filter(|site| site.bids.is_some())?;
        Some((uid(object, site.life), site))
    }

    /// Its pods are made to do what it may; the old ones go on until they are seen to have ended.
    fn pass(&mut self, object: usize) {
        self.queue.remove(&object);
        let Some((uid, _)) = self.alive(object) else {
            return;
        };
        let standing = self.index.claim(&uid, self.strangers.is_empty());
        let doing = self.doing(&uid);
        if let Some(site) = self.sites.get_mut(&object) {
            site.running.extend(doing);
        }
        self.index.passed(&key(object), false);
        if !self.strangers.is_empty() && !standing.withheld.is_empty() {
            self.queue.insert(object);
        }
    }

    /// What the newest pods of an object do.
    fn doing(&self, uid: &str) -> BTreeSet<(u8, String)> {
        let surplus = self.index.surplus(uid);
        let held = self.index.held(uid).into_iter();
        held.filter(|(claim, part)| !surplus.get(part).is_some_and(|claims| claims.contains(claim)))
            .collect()
    }

    fn end(&mut self, object: usize) {
        let ended: Vec<_> = self
            .ghosts
            .iter()
            .filter(|(_, ghost)| ghost.0 == object)
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in ended {
            self.ghosts.remove(&uid);
            self.strangers.remove(&uid);
            let claims = self.index.held(&uid).into_keys().collect();
            self.index.release(&uid, &claims);
        }
        // Pods of a spec that no pass has come to yet go on.
        if self.queue.contains(&object) {
            return;
        }
        let Some((uid, _)) = self.alive(object) else {
            return;
        };
        let doing = self.doing(&uid);
        let surplus: BTreeSet<_> = self.index.surplus(&uid).into_values().flatten().collect();
        if let Some(site) = self.sites.get_mut(&object) {
            site.running = doing;
        }
        self.index.release(&uid, &surplus);
    }

    fn restart(&mut self) {
        let former = std::mem::take(&mut self.index);
        for (object, site) in &self.sites {
            let Some(bids) = &site.bids else { continue };
            let uid = uid(*object, site.life);
            self.index
                .note(&uid, member(*object, site.life, site.generation, bids));
            self.index.restore(&uid, former.held(&uid));
            self.queue.insert(*object);
        }
        self.strangers = self.ghosts.keys().cloned().collect();
    }

    fn nothing_is_done_twice(&self) {
        let alive = self
            .sites
            .iter()
            .map(|(object, site)| (uid(*object, site.life), &site.running));
        let ghosts = self
            .ghosts
            .iter()
            .map(|(uid, (_, running))| (uid.clone(), running));
        let mut doing = BTreeMap::new();
        for (uid, running) in alive.chain(ghosts) {
            for (claim, part) in running {
                let other = doing.insert(*claim, (uid.clone(), part.clone()));
                assert!(
                    other.is_none(),
                    "{claim} is done by {uid} in {part} and by {other:?}"
                );
            }
        }
    }

    /// All pods end that are to, and all that are woken get their pass.
    fn calm_down(&mut self) {
        for _ in 0..100 {
            for object in std::mem::take(&mut self.queue) {
                self.happen(Event::Pass(object));
            }
            for object in 0..4 {
                self.happen(Event::Ended(object));
            }
            if self.queue.is_empty() {
                return;
            }
        }
        panic!("it never calms down: {:?}", self.queue);
    }
}

proptest! {
    #[test]
    fn nothing_is_ever_done_twice_and_nothing_waits_for_nobody(events in vec(event(), 0..60)) {
        let mut world = World::default();
        for event in events {
            world.happen(event);
        }
        world.calm_down();
        let holding: BTreeMap<u8, usize> = world.sites.keys().filter_map(|object| world.alive(*object)).fold(
            BTreeMap::new(),
            |mut count, (uid, _)| {
                for claim in world.index.held(&uid).into_keys() {
                    *count.entry(claim).or_default() += 1;
                }
                count
            },
        );
        prop_assert!(holding.values().all(|holders| *holders == 1), "{holding:?}");
        // Who is left as it is claims nothing, so all get one more pass as valid objects.
        for object in 0..4 {
            world.happen(Event::Pass(object));
        }
        world.calm_down();
        let wanted: BTreeSet<u8> =
            world.sites.values().filter_map(|site| site.bids.as_ref()).flat_map(|bids| bids.keys().copied()).collect();
        let done: BTreeSet<u8> = world.sites.values().flat_map(|site| &site.running).map(|(claim, _)| *claim).collect();
        prop_assert_eq!(done, wanted);
    }

    #[test]
    fn of_several_that_come_at_once_the_oldest_gets_it_whoever_is_looked_at_first(
        order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
        bids in vec(proptest::collection::btree_map(0_u8..3, 0_usize..2, 0..3), 4),
    ) {
        let mut index = Index::default();
        for (object, bids) in bids.iter().enumerate() {
            index.note(&uid(object, 0), member(object, 0, 1, bids));
        }
        let mut queue: Vec<usize> = order.to_vec();
        while !queue.is_empty() {
            let object = queue.remove(0);
            index.claim(&uid(object, 0), true);
            queue.extend(index.woken().iter().filter_map(|woken| (0..4).find(|number| key(*number) == *woken)));
        }
        for (object, _) in bids.iter().enumerate() {
            for claim in index.held(&uid(object, 0)).keys() {
                prop_assert!(bids[..object].iter().all(|older| !older.contains_key(claim)));
            }
        }
    }
}

fn both(bids: [&[(u8, usize)]; 2]) -> Index<u8> {
    let mut index = Index::default();
    for (object, bids) in bids.into_iter().enumerate() {
        index.note(
            &uid(object, 0),
            member(object, 0, 1, &bids.iter().copied().collect()),
        );
        index.claim(&uid(object, 0), true);
    }
    index
}

#[test]
fn two_objects_that_exchange_what_they_have_wait_for_each_other_but_not_for_ever() {
    let mut index = both([&[(1, 0)], &[(2, 0)]]);
    for (object, bid) in [(0, 2), (1, 1)] {
        index.note(&uid(object, 0), member(object, 0, 2, &[(bid, 0)].into()));
    }
    for object in [0, 1] {
        let standing = index.claim(&uid(object, 0), true);
        assert_eq!(standing.withheld[0].cause, Cause::Leaving(key(1 - object)));
        assert_eq!(standing.releasing, ["orders".to_owned()].into());
    }
    for (object, claim) in [(0, 1), (1, 2)] {
        index.release(&uid(object, 0), &[claim].into());
    }
    assert_eq!(index.woken(), [key(0), key(1)].into());
    for object in [0, 1] {
        assert_eq!(index.claim(&uid(object, 0), true), Standing::default());
    }
}

#[test]
fn an_object_that_held_it_together_with_an_older_one_before_anybody_looked_gives_it_up() {
    let mut index = Index::default();
    for object in [0, 1] {
        index.note(&uid(object, 0), member(object, 0, 1, &[(1, 0)].into()));
        index.restore(&uid(object, 0), [(1, PARTS[0].to_owned())].into());
    }
    assert_eq!(
        index.claim(&uid(1, 0), true).withheld[0].cause,
        Cause::Held(key(0))
    );
    assert_eq!(index.claim(&uid(0, 0), true), Standing::default(), "it goes on");
    assert_eq!(index.surplus(&uid(1, 0)).len(), 1);
}

#[test]
fn an_invalid_object_keeps_what_its_pods_do() {
    let mut index = both([&[(1, 0)], &[(1, 0)]]);
    index.note(&uid(0, 0), member(0, 0, 2, &BTreeMap::new()));
    index.leave(&uid(0, 0));
    assert_eq!(
        index.claim(&uid(1, 0), true).withheld[0].cause,
        Cause::Held(key(0))
    );
}

#[test]
fn a_duty_that_moves_to_another_mode_waits_for_the_pods_of_the_former() {
    let mut index = both([&[(1, 0)], &[]]);
    index.note(&uid(0, 0), member(0, 0, 2, &[(1, 1)].into()));
    let standing = index.claim(&uid(0, 0), true);
    assert_eq!(standing.withheld[0].cause, Cause::Moving("orders".into()));
    index.release(&uid(0, 0), &[1].into());
    assert!(index.woken().contains(&key(0)), "it is looked at again");
    assert_eq!(index.claim(&uid(0, 0), true), Standing::default());
    assert_eq!(index.held(&uid(0, 0)), [(1, "events".to_owned())].into());
}

#[test]
fn a_message_names_objects_of_the_same_namespace_only() {
    let mut index = both([&[(1, 0)], &[(1, 0)]]);
    let standing = index.claim(&uid(1, 0), true);
    let said = |namespace| {
        standing
            .verdict("SiteAgent", namespace)
            .map(|verdict| verdict.message().to_owned())
    };
    let near = said("hpc").expect("it waits");
    assert!(
        near.starts_with("claim 1: held by SiteAgent \"site-0\"; "),
        "{near}"
    );
    let far = said("elsewhere").expect("it waits");
    assert!(
        far.contains("another SiteAgent of this cluster") && !far.contains("hpc") && !far.contains("site-0"),
        "{far}"
    );
}
