//! The fields of a target: looked at, recorded, set, waited for, put back.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reeve_rollout::{PointKind, RollbackPoint, step::Field};
use serde_json::{Value, json};

use super::{
    cluster::{Cluster, MANAGER, ObjectName, Patched},
    kstatus::{Verdict, verdict},
    owners::others,
    patch::{Standing, Wish, patch, recorded, standing},
    path::NoPlace,
};
use crate::{
    answer::{Answer, Outcome, Problem},
    digest::sha256,
};

/// How often a patch is made anew because somebody else has changed the object meanwhile.
const TRIES: u8 = 5;
/// Time between two looks at an object that is on its way.
const INTERVAL: Duration = Duration::from_secs(1);

/// The fields of a target.
#[derive(Debug)]
pub struct Fields<'a> {
    cluster: &'a Cluster,
    set: &'a [Field],
    deadline: Instant,
}

impl<'a> Fields<'a> {
    /// Those of an instruction.
    pub fn new(cluster: &'a Cluster, set: &'a [Field], deadline: Instant) -> Self {
        Self {
            cluster,
            set,
            deadline,
        }
    }

    /// The objects, each with the numbers of its fields.
    fn objects(&self) -> BTreeMap<ObjectName<'a>, Vec<usize>> {
        let mut objects = BTreeMap::<_, Vec<_>>::new();
        for (number, field) in self.set.iter().enumerate() {
            objects.entry(name(field)).or_default().push(number);
        }
        objects
    }

    /// Looks whether the fields can be set: objects and paths are there, the account may patch, who else sets them.
    pub async fn preflight(&self) -> Outcome {
        let mut notes = Vec::new();
        for (name, numbers) in self.objects() {
            let object = self.cluster.get(&name).await?;
            for number in numbers {
                let field = &self.set[number];
                recorded(&object, &field.path).map_err(|error| no_place(&name, field, &error))?;
                let managers = others(&object, &field.path, MANAGER);
                if !managers.is_empty() {
                    notes.push(format!(
                        "{} of {name} is set by {} too, which may set it back",
                        field.path,
                        managers.join(", ")
                    ));
                }
            }
            // A patch that changes nothing shows whether the account may patch.
            let nothing = [json!({"op": "test", "path": "/kind", "value": name.kind})];
            self.cluster.patch(&name, &nothing, true).await?;
        }
        notes.insert(
            0,
            format!(
                "{} fields of {} objects can be set",
                self.set.len(),
                self.objects().len()
            ),
        );
        Ok(Answer::saying(notes.join("; ")))
    }

    /// Names the values as a rollback point.
    pub async fn record(&self, target: &str) -> Outcome {
        let mut values = vec![None; self.set.len()];
        for (name, numbers) in self.objects() {
            let object = self.cluster.get(&name).await?;
            for number in numbers {
                let field = &self.set[number];
                let value = recorded(&object, &field.path).map_err(|error| no_place(&name, field, &error))?;
                values[number] = Some(value);
            }
        }
        let values: Vec<_> = values.into_iter().flatten().collect();
        let digest = sha256(&serde_json::to_vec(&values).unwrap_or_default());
        Ok(Answer {
            message: format!("{} values are recorded", values.len()),
            rollback_point: Some(RollbackPoint {
                target: target.to_owned(),
                kind: PointKind::Values,
                id: digest,
                revision: None,
                taken_at: Timestamp::now(),
                values,
            }),
            ..Answer::default()
        })
    }

    /// Sets the fields where they are as recorded, and waits for the objects.
    pub async fn deploy(&self, before: &RollbackPoint) -> Outcome {
        self.matching(before)?;
        let mut touched = false;
        for (name, numbers) in self.objects() {
            let set = async |object: &Value| {
                for number in &numbers {
                    let field = &self.set[*number];
                    let standing = standing(object, &field.path, &before.values[*number], &field.value);
                    if standing.map_err(|error| no_place(&name, field, &error))? == Standing::Other {
                        return Err(Problem::failed(
                            "OtherValue",
                            format!(
                                "{} of {name} is neither what it was when the run began nor what it is to be: somebody else sets it",
                                field.path
                            ),
                        ));
                    }
                }
                let wishes = numbers
                    .iter()
                    .map(|number| wish(&self.set[*number], Some(&self.set[*number].value), false));
                patch(object, &wishes.collect::<Vec<_>>())
                    .map_err(|error| no_place(&name, &self.set[numbers[0]], &error))
            };
            let done = self.bring(&name, set).await;
            touched |= done.is_ok();
            done.map_err(|problem| if touched { problem.touched() } else { problem })?;
        }
        self.settle().await.map_err(Problem::touched)?;
        Ok(Answer::saying(format!(
            "{} fields are set and their objects are ready",
            self.set.len()
        )))
    }

    /// Puts the recorded values back, whatever stands there now, and waits for the objects.
    pub async fn put_back(&self, to: &RollbackPoint) -> Outcome {
        self.matching(to)?;
        for (name, numbers) in self.objects() {
            // In reverse, as what was added last is removed first.
            let wishes: Vec<_> = numbers
                .iter()
                .rev()
                .map(|number| {
                    wish(
                        &self.set[*number],
                        to.values[*number]
                            .value
                            .as_ref()
                            .filter(|_| to.values[*number].present),
                        true,
                    )
                })
                .collect();
            let set = async |object: &Value| {
                patch(object, &wishes).map_err(|error| no_place(&name, &self.set[numbers[0]], &error))
            };
            self.bring(&name, set).await.map_err(Problem::touched)?;
        }
        self.settle().await.map_err(Problem::touched)?;
        Ok(Answer::saying(format!(
            "{} fields are as they were and their objects are ready",
            self.set.len()
        )))
    }

    /// Reads, patches, and begins anew when somebody was faster.
    async fn bring(
        &self,
        name: &ObjectName<'_>,
        operations: impl AsyncFn(&Value) -> Outcome<Vec<Value>>,
    ) -> Outcome<()> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let object = self.cluster.get(name).await?;
            let operations = operations(&object).await?;
            if operations.is_empty() {
                return Ok(());
            }
            match self.cluster.patch(name, &operations, false).await? {
                Patched::Applied => return Ok(()),
                Patched::Changed(message) => last = message,
            }
        }
        Err(Problem::errored(
            "Conflict",
            format!("{name} is changed by others all the time: {last}"),
        ))
    }

    /// Waits until every object is as its spec says.
    pub async fn settle(&self) -> Outcome<()> {
        for name in self.objects().into_keys() {
            loop {
                match verdict(&self.cluster.get(&name).await?) {
                    Verdict::Current => break,
                    Verdict::Failed(why) => {
                        return Err(Problem::failed("NotReady", format!("{name} has failed: {why}")));
                    }
                    Verdict::InProgress(why) if Instant::now() + INTERVAL >= self.deadline => {
                        return Err(Problem::failed(
                            "NotReady",
                            format!("{name} is not ready within the time limit: {why}"),
                        ));
                    }
                    Verdict::InProgress(_) => tokio::time::sleep(INTERVAL).await,
                }
            }
        }
        Ok(())
    }

    /// What became of an attempt whose report was lost: at setting the fields (`forward`), or at putting them back.
    pub async fn observe(&self, before: &RollbackPoint, forward: bool) -> Outcome {
        self.matching(before)?;
        let mut done = true;
        for (name, numbers) in self.objects() {
            let object = self.cluster.get(&name).await?;
            for number in numbers {
                let (field, previous) = (&self.set[number], &before.values[number]);
                let found = standing(&object, &field.path, previous, &field.value)
                    .map_err(|error| no_place(&name, field, &error))?;
                let now = recorded(&object, &field.path).map_err(|error| no_place(&name, field, &error))?;
                done &= if forward {
                    found == Standing::Wanted
                } else {
                    now == *previous
                };
            }
        }
        if !done {
            let message = "not all fields are as they are to be; that can be tried again";
            return Err(Problem::inconclusive("NoEffect", message));
        }
        self.settle().await?;
        Ok(Answer::saying("the earlier attempt took effect"))
    }

    fn matching(&self, point: &RollbackPoint) -> Outcome<()> {
        if point.kind == PointKind::Values && point.values.len() == self.set.len() {
            return Ok(());
        }
        Err(Problem::errored(
            "BadInstruction",
            "the rollback point does not fit the fields; use images of one version of Reeve",
        ))
    }
}

fn name(field: &Field) -> ObjectName<'_> {
    ObjectName {
        api_version: &field.api_version,
        kind: &field.kind,
        namespace: &field.namespace,
        name: &field.name,
    }
}

fn wish<'a>(field: &'a Field, value: Option<&'a Value>, exact: bool) -> Wish<'a> {
    Wish {
        path: &field.path,
        value,
        exact,
    }
}

fn no_place(name: &ObjectName<'_>, field: &Field, error: &NoPlace) -> Problem {
    Problem::failed(
        "NoField",
        format!("{name}: path {} leads nowhere: {error}", field.path),
    )
}
