//! CPU and memory as the API server takes them.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use reeve_api_types::{FieldPath, Problem, Reason};

/// Suffixes of quantities and what they stand for. Longer ones first.
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// What is wrong with requests and limits: no such resource, no such size, a request above its limit.
pub(in crate::controllers) fn resources(wanted: &ResourceRequirements, path: &FieldPath) -> Vec<Problem> {
    let mut problems = Vec::new();
    let lists = [("requests", &wanted.requests), ("limits", &wanted.limits)];
    for (field, list) in lists {
        for (name, quantity) in list.iter().flatten() {
            let path = path.field(field).field(name);
            if !is_resource(name) {
                let message = "there is no such resource; write cpu, memory or ephemeral-storage (or a full name such as \
                               example.org/gpu)";
                problems.push(Problem::new(path, Reason::UnknownField, message));
            } else if size(quantity).is_none() {
                let message = "write a number with one of Kubernetes' units, such as 500m, 2, 512Mi or 1Gi";
                problems.push(Problem::new(path, Reason::InvalidValue, message));
            }
        }
    }
    for (name, request) in wanted.requests.iter().flatten() {
        let limit = wanted.limits.as_ref().and_then(|limits| limits.get(name));
        let Some((request, limit)) = size(request).zip(limit.and_then(size)) else {
            continue;
        };
        if request > limit {
            let message = format!("is above limits.{name}: raise the limit or lower the request");
            problems.push(Problem::new(
                path.field("requests").field(name),
                Reason::Conflict,
                message,
            ));
        }
    }
    problems
}

fn is_resource(name: &str) -> bool {
    ["cpu", "memory", "ephemeral-storage"].contains(&name)
        || name.starts_with("hugepages-")
        || name.contains('/')
}

/// The size in whole units; none when it is not a quantity.
fn size(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.as_str();
    // 1e3 is a number too, 1E is not.
    if let Ok(number) = text.parse::<f64>()
        && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
    {
        return (number >= 0.0).then_some(number);
    }
    let (number, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))?;
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    plain
        .then(|| number.parse::<f64>().ok())
        .flatten()
        .map(|number| number * unit)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn paths(wanted: Value) -> Vec<String> {
        let wanted = serde_json::from_value(wanted).expect("resources");
        let found = resources(&wanted, &FieldPath::new("r"));
        found.iter().map(|problem| problem.path.to_string()).collect()
    }

    #[test]
    fn sizes_that_kubernetes_takes_are_fine() {
        let wanted = json!({
            "requests": {"cpu": "100m", "memory": "0.5Gi", "example.org/gpu": "1", "hugepages-2Mi": "4Mi"},
            "limits": {"cpu": "1", "memory": "1e9", "ephemeral-storage": "10G", "example.org/gpu": "1"},
        });
        assert_eq!(paths(wanted), [""; 0]);
        assert_eq!(
            paths(json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "1024Mi"}})),
            [""; 0]
        );
    }

    #[test]
    fn what_is_no_resource_or_no_size_is_named() {
        assert_eq!(
            paths(json!({"limits": {"mem": "1Gi", "cpus": "1"}})),
            ["r.limits.cpus", "r.limits.mem"]
        );
        for size in ["1GB", "1 Gi", "", "Gi", "-1", "lots", "inf", "1.2.3Mi"] {
            assert_eq!(
                paths(json!({"limits": {"memory": size}})),
                ["r.limits.memory"],
                "{size}"
            );
        }
    }

    #[test]
    fn a_request_above_its_limit_is_refused() {
        for (request, limit) in [("2Gi", "1Gi"), ("1025Mi", "1Gi"), ("1.1G", "1e9"), ("1G", "900M")] {
            let wanted = json!({"requests": {"memory": request}, "limits": {"memory": limit}});
            assert_eq!(paths(wanted), ["r.requests.memory"], "{request} {limit}");
        }
    }
}
