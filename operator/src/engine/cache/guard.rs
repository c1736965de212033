//! An object or what is wrong with it, item by item: one that cannot be read must not spoil the list it comes in.
//! kube's `DeserializeGuard` catches wrong types only; a value nested too deeply for the parser fails the whole list
//! there, and with it every object of the cluster.

use std::borrow::Cow;

use kube::{Resource, api::ObjectMeta, core::error_boundary::InvalidObject};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::value::RawValue;

/// More values than any sensible object holds (256 offerings with 64 components each are about as many), and few enough
/// that an object of the largest size the API server takes cannot fill the memory with empty ones.
const MOST_VALUES: usize = 100_000;

/// Whether this is the error of an object with more values: not even its raw form should be read again.
pub fn is_too_large(error: &str) -> bool {
    error == too_large()
}

fn too_large() -> String {
    format!("it holds more than {MOST_VALUES} values")
}

/// An object, or its metadata and why it cannot be read.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, InvalidObject>);

/// All other fields are skipped, however deep they are (`PartialObjectMeta` would read them into a buffer).
#[derive(Deserialize)]
struct MetadataOnly {
    #[serde(default)]
    metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned + Resource> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let read = match raw.get().bytes().filter(|byte| b"{[,".contains(byte)).count() {
            values if values > MOST_VALUES => Err(too_large()),
            _ => serde_json::from_str(raw.get()).map_err(|error| error.to_string()),
        };
        match read {
            Ok(object) => Ok(Self(Ok(object))),
            Err(error) => {
                let MetadataOnly { metadata } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
                Ok(Self(Err(InvalidObject { error, metadata })))
            }
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }
    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }
    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }
    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }
    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use reeve_crds::SiteAgent;

    use super::*;

    fn object(name: &str, settings: &str) -> String {
        format!(
            r#"{{"apiVersion":"reeve.dev/v1alpha1","kind":"SiteAgent","metadata":{{"name":"{name}"}},"spec":{{"offerings":[
                {{"name":"a","uuid":"1","backend":{{"type":"slurm"}},"settings":{settings}}}]}}}}"#
        )
    }

    fn nested(depth: usize) -> String {
        r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth)
    }

    #[test]
    fn one_object_that_cannot_be_read_leaves_the_others_of_its_list_alone() {
        let many = format!(r#"{{"a":[{}]}}"#, vec!["{}"; MOST_VALUES].join(","));
        let items = [
            object("good", "{}"),
            object("deep", &nested(500)),
            object("many", &many),
            object("wrong", "7"),
        ];
        let list = format!(
            r#"{{"kind":"SiteAgentList","apiVersion":"reeve.dev/v1alpha1","metadata":{{}},"items":[{}]}}"#,
            items.join(",")
        );
        let list: ObjectList<Guarded<SiteAgent>> = serde_json::from_str(&list).expect("the list is read");
        let names: Vec<_> = list
            .items
            .iter()
            .map(|item| item.meta().name.clone().unwrap_or_default())
            .collect();
        assert_eq!(names, ["good", "deep", "many", "wrong"]);
        let readable: Vec<_> = list.items.iter().map(|item| item.0.is_ok()).collect();
        assert_eq!(readable, [true, false, false, false]);
    }

    #[test]
    fn an_object_that_cannot_be_read_does_not_end_its_watch() {
        let event = format!(r#"{{"type":"ADDED","object":{}}}"#, object("deep", &nested(500)));
        let event: WatchEvent<Guarded<SiteAgent>> = serde_json::from_str(&event).expect("the event is read");
        let WatchEvent::Added(Guarded(Err(invalid))) = event else {
            panic!("an object with an error")
        };
        assert!(invalid.error.contains("recursion limit"), "{}", invalid.error);
    }
}
