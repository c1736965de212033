//! The objects that tests create: a small `SiteAgent` with three modes, and the Secret that it names. Without preflight,
//! since no kubelet would run its Jobs.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

/// The value of every token in these tests; it must never show up anywhere but in Secrets.
pub const TOKEN: &str = "t0k3n-that-must-not-leak";

/// The slugs of the modes that [`site`] has.
pub const MODES: [&str; 3] = ["orders", "membership", "reports"];

/// The Secret `name` with the key `token`.
pub fn token(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": TOKEN},
    })
}

/// The UUID of an offering of the object `name`: each object has its own, since only one may serve an offering.
fn uuid(name: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let digits = format!("{:016x}", hasher.finish());
    format!("{}-{}-4111-8111-{}", &digits[..8], &digits[8..12], &digits[4..])
}

/// A `SiteAgent` with one offering in three modes, whose token is in the Secret `waldur`.
pub fn site(name: &str) -> Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1",
        "kind": "SiteAgent",
        "metadata": {"name": name},
        "spec": {
            "preflight": {"enabled": false},
            "waldur": {
                "apiUrl": "https://waldur.example.org/api/",
                "tokenRef": {"name": "waldur", "key": "token"},
            },
            "offerings": [{
                "name": "cluster-a",
                "uuid": uuid(name),
                "backend": {"type": "slurm", "orders": "slurm", "membership": "slurm", "reporting": "slurm"},
                "settings": {
                    "default_account": "root", "customer_prefix": "hpc_", "project_prefix": "hpc_",
                    "allocation_prefix": "hpc_", "qos_default": "normal",
                },
                "components": {
                    "cpu": {"label": "CPU", "measuredUnit": "Hours", "accountingType": "Usage", "unitFactor": 60},
                },
            }],
        },
    })
}

/// [`site`] with so many offerings.
pub fn site_of(name: &str, offerings: usize) -> Value {
    let mut site = site(name);
    let first = site["spec"]["offerings"][0].take();
    let all = (0..offerings).map(|number| {
        let mut offering = first.clone();
        if number > 0 {
            offering["name"] = json!(format!("cluster-{number}"));
            offering["uuid"] = json!(uuid(&format!("{name}/{number}")));
        }
        offering
    });
    site["spec"]["offerings"] = all.collect();
    site
}

/// [`site`] with other values at JSON Pointers; objects on the way must exist.
pub fn site_with(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut site = site(name);
    for (path, value) in changes {
        let (parent, key) = path.rsplit_once('/').expect("a JSON Pointer has a slash");
        let parent = site
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("nothing at {parent}"));
        match (parent, key.parse::<usize>()) {
            (Value::Array(list), Ok(index)) => list[index] = value.clone(),
            (parent, _) => parent[key] = value.clone(),
        }
    }
    site
}
