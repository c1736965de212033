//! The JSON Patch (RFC 6902) that brings fields of one object to what they are to be, and only if nobody has changed
//! them since they were read.

use reeve_rollout::PreviousValue;
use serde_json::{Value, json};

use super::path::{NoPlace, Place, place};

/// A field, and what it is to be. None: it is to be away.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish<'a> {
    pub(super) path: &'a str,
    pub(super) value: Option<&'a Value>,
    /// Whether the value was read from the object once, and it is to be that and nothing besides.
    pub(super) exact: bool,
}

impl Wish<'_> {
    fn is_met(&self, current: &Value, wanted: &Value) -> bool {
        if self.exact {
            current == wanted
        } else {
            covers(current, wanted)
        }
    }
}

/// How a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As it is wanted.
    Wanted,
    /// As it was recorded before.
    Before,
    /// Neither.
    Other,
}

/// The operations. Empty: everything is as wanted.
pub(super) fn patch(object: &Value, wishes: &[Wish<'_>]) -> Result<Vec<Value>, NoPlace> {
    let (mut tests, mut changes, mut adds) = (Vec::new(), Vec::new(), false);
    let mut scratch = object.clone();
    for wish in wishes {
        let found = place(&scratch, wish.path)?;
        let current = found.value(&scratch).cloned();
        let change = match (&current, wish.value) {
            (Some(current), Some(wanted)) if wish.is_met(current, wanted) => continue,
            (None, None) => continue,
            (Some(_), Some(wanted)) => json!({"op": "replace", "path": found.pointer, "value": wanted}),
            (Some(_), None) => json!({"op": "remove", "path": found.pointer}),
            (None, Some(wanted)) => {
                adds = true;
                let (path, value) = found.addition(wanted.clone());
                json!({"op": "add", "path": path, "value": value})
            }
        };
        tests.extend(found.guards.iter().map(|(path, value)| test(path, value)));
        // A field that an earlier wish of this patch has brought along cannot be tested for.
        if let Some(before) = object
            .pointer(&found.pointer)
            .filter(|_| found.missing.is_empty())
        {
            tests.push(test(&found.pointer, before));
        }
        pretend(&mut scratch, &found, wish.value);
        changes.push(change);
    }
    if adds && let Some(version) = object.pointer("/metadata/resourceVersion") {
        // That something is absent cannot be tested for: nothing of the object may have changed then.
        tests.insert(0, test("/metadata/resourceVersion", version));
    }
    tests.dedup();
    Ok(if changes.is_empty() {
        Vec::new()
    } else {
        [tests, changes].concat()
    })
}

fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// Applies a wish to our own copy, so that the next one sees what it leaves.
fn pretend(object: &mut Value, place: &Place, wanted: Option<&Value>) {
    match wanted {
        Some(wanted) if place.missing.is_empty() => {
            if let Some(field) = object.pointer_mut(&place.pointer) {
                *field = wanted.clone();
            }
        }
        Some(wanted) => {
            let value = place.missing[1..]
                .iter()
                .rev()
                .fold(wanted.clone(), |value, key| json!({key: value}));
            if let Some(map) = object.pointer_mut(&place.pointer).and_then(Value::as_object_mut) {
                map.insert(place.missing[0].clone(), value);
            }
        }
        None => {
            let Some((parent, key)) = place.pointer.rsplit_once('/') else {
                return;
            };
            let key = key.replace("~1", "/").replace("~0", "~");
            match object.pointer_mut(parent) {
                Some(Value::Object(map)) => drop(map.remove(&key)),
                Some(Value::Array(list)) => {
                    if let Ok(number) = key.parse::<usize>() {
                        list.remove(number);
                    }
                }
                _ => {}
            }
        }
    }
}

/// What a field is now.
pub(super) fn recorded(object: &Value, path: &str) -> Result<PreviousValue, NoPlace> {
    let value = place(object, path)?.value(object).cloned();
    Ok(PreviousValue {
        present: value.is_some(),
        value,
    })
}

/// How a field stands between what it was and what it is to be.
pub(super) fn standing(
    object: &Value,
    path: &str,
    before: &PreviousValue,
    wanted: &Value,
) -> Result<Standing, NoPlace> {
    let now = recorded(object, path)?;
    Ok(if now.value.as_ref().is_some_and(|now| covers(now, wanted)) {
        Standing::Wanted
    } else if now == *before {
        Standing::Before
    } else {
        Standing::Other
    })
}

/// Whether a value is what was asked for: the API server adds defaults to maps.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| covers(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| covers(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Value {
        json!({"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 2, "containers": [{"name": "app", "image": "app:1"}]}})
    }

    fn wish<'a>(path: &'a str, value: Option<&'a Value>) -> Wish<'a> {
        Wish {
            path,
            value,
            exact: false,
        }
    }

    #[test]
    fn a_field_is_replaced_only_if_it_and_its_element_are_what_was_read() {
        let image = json!("app:2");
        let operations = patch(
            &object(),
            &[wish("/spec/containers/[name=app]/image", Some(&image))],
        )
        .expect("a place");
        assert_eq!(
            json!(operations),
            json!([
                {"op": "test", "path": "/spec/containers/0/name", "value": "app"},
                {"op": "test", "path": "/spec/containers/0/image", "value": "app:1"},
                {"op": "replace", "path": "/spec/containers/0/image", "value": "app:2"},
            ])
        );
    }

    #[test]
    fn what_was_recorded_comes_back_without_what_was_added() {
        let object = json!({"spec": {"nodeSelector": {"a": "1", "b": "2"}}});
        let recorded = json!({"a": "1"});
        let mut wishes = [wish("/spec/nodeSelector", Some(&recorded))];
        assert_eq!(patch(&object, &wishes).expect("a place"), Vec::<Value>::new());
        wishes[0].exact = true;
        assert_eq!(
            patch(&object, &wishes).expect("a place").last(),
            Some(&json!({"op": "replace", "path": "/spec/nodeSelector", "value": {"a": "1"}}))
        );
        let now = json!({"spec": {"nodeSelector": recorded}});
        assert_eq!(patch(&now, &wishes).expect("a place"), Vec::<Value>::new());
    }

    #[test]
    fn what_is_as_wanted_needs_no_patch() {
        let replicas = json!(2);
        assert!(
            patch(
                &object(),
                &[
                    wish("/spec/replicas", Some(&replicas)),
                    wish("/spec/paused", None)
                ]
            )
            .expect("places")
            .is_empty()
        );
        let container = json!([{"image": "app:1"}]);
        assert!(
            patch(&object(), &[wish("/spec/containers", Some(&container))])
                .expect("places")
                .is_empty()
        );
    }

    #[test]
    fn what_is_added_holds_the_object_to_the_version_that_was_read() {
        let (a, b) = (json!("1"), json!("2"));
        let operations = patch(
            &object(),
            &[
                wish("/metadata/annotations/a", Some(&a)),
                wish("/metadata/annotations/b", Some(&b)),
            ],
        );
        assert_eq!(
            json!(operations.expect("places")),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "add", "path": "/metadata/annotations", "value": {"a": "1"}},
                {"op": "add", "path": "/metadata/annotations/b", "value": "2"},
            ])
        );
    }

    #[test]
    fn what_was_not_there_is_removed_on_the_way_back() {
        let operations = patch(&object(), &[wish("/spec/replicas", None)]).expect("a place");
        assert_eq!(
            operations.last(),
            Some(&json!({"op": "remove", "path": "/spec/replicas"}))
        );
    }

    #[test]
    fn a_field_that_somebody_else_has_set_stands_between_nothing() {
        let before = PreviousValue {
            present: true,
            value: Some(json!(2)),
        };
        let mut now = object();
        for (value, expected) in [(2, Standing::Before), (3, Standing::Wanted), (4, Standing::Other)] {
            now["spec"]["replicas"] = json!(value);
            assert_eq!(standing(&now, "/spec/replicas", &before, &json!(3)), Ok(expected));
        }
    }
}
