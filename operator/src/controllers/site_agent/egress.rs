//! Rules of a `NetworkPolicy` that the API server would refuse. It would refuse the whole policy then, so that the pods
//! kept the old one.

use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use reeve_api_types::{FieldPath, Problem, Reason, syntax};

use crate::controllers::pod_template::{PORTS, PROTOCOLS};

/// What is wrong with networks in CIDR notation.
pub(super) fn networks(cidrs: &[String], path: &FieldPath) -> Vec<Problem> {
    let found = cidrs.iter().enumerate();
    found
        .filter_map(|(index, text)| network(text, &path.index(index)).err())
        .collect()
}

/// What is wrong with `rule`.
pub(super) fn check(rule: &NetworkPolicyEgressRule, path: &FieldPath) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, to) in rule.to.iter().flatten().enumerate() {
        peer(to, &path.field("to").index(index), &mut problems);
    }
    for (index, wanted) in rule.ports.iter().flatten().enumerate() {
        port(wanted, &path.field("ports").index(index), &mut problems);
    }
    problems
}

fn refuse(path: FieldPath, message: impl Into<String>) -> Problem {
    Problem::new(path, Reason::InvalidValue, message)
}

fn network(text: &str, path: &FieldPath) -> Result<IpNet, Problem> {
    text.parse().map_err(|_| {
        let message = "write an address, a slash and its length, such as 192.0.2.0/24 (length 0 to 32) or 2001:db8::/32 \
                       (0 to 128); NetworkPolicies know no names";
        refuse(path.clone(), message)
    })
}

fn peer(peer: &NetworkPolicyPeer, path: &FieldPath, problems: &mut Vec<Problem>) {
    let selectors = [
        ("podSelector", &peer.pod_selector),
        ("namespaceSelector", &peer.namespace_selector),
    ];
    let selects = selectors.iter().any(|(_, selector)| selector.is_some());
    match &peer.ip_block {
        None if !selects => {
            let message = "names nobody; write ipBlock, podSelector or namespaceSelector";
            problems.push(refuse(path.clone(), message));
        }
        Some(_) if selects => {
            let message = "goes with no selector; make them two entries of to";
            problems.push(refuse(path.field("ipBlock"), message));
        }
        Some(block) => ip_block(block, &path.field("ipBlock"), problems),
        None => {}
    }
    for (field, selector) in selectors {
        if let Some(selector) = selector {
            label_selector(selector, &path.field(field), problems);
        }
    }
}

fn ip_block(block: &IPBlock, path: &FieldPath, problems: &mut Vec<Problem>) {
    let whole = network(&block.cidr, &path.field("cidr"))
        .map_err(|problem| problems.push(problem))
        .ok();
    for (index, text) in block.except.iter().flatten().enumerate() {
        let path = path.field("except").index(index);
        match (network(text, &path), whole) {
            (Err(problem), _) => problems.push(problem),
            (Ok(part), Some(whole)) if !whole.contains(&part) || whole.prefix_len() == part.prefix_len() => {
                let message =
                    format!("has to be a part of {whole}, and not all of it; correct one of the two");
                problems.push(refuse(path, message));
            }
            (Ok(_), _) => {}
        }
    }
}

fn port(port: &NetworkPolicyPort, path: &FieldPath, problems: &mut Vec<Problem>) {
    if let Some(protocol) = &port.protocol
        && !PROTOCOLS.contains(&protocol.as_str())
    {
        let message = format!("write one of {}", PROTOCOLS.join(", "));
        problems.push(refuse(path.field("protocol"), message));
    }
    let number = match &port.port {
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            if let Some(message) = syntax::port_name(name) {
                let message = format!("{message}; a number goes without quotes");
                problems.push(refuse(path.field("port"), message));
            }
            None
        }
        None => None,
    };
    if number.is_some_and(|number| !PORTS.contains(&number)) {
        problems.push(refuse(path.field("port"), "write 1 to 65535"));
    }
    let Some(end) = port.end_port else { return };
    let message = match number {
        None => "needs a port that is a number, at which the range begins",
        Some(first) if end < first || !PORTS.contains(&end) => "write a port from port to 65535",
        Some(_) => return,
    };
    problems.push(refuse(path.field("endPort"), message));
}

fn label_selector(selector: &LabelSelector, path: &FieldPath, problems: &mut Vec<Problem>) {
    for (key, value) in selector.match_labels.iter().flatten() {
        let path = path.field("matchLabels").field(key);
        let message = syntax::qualified_name(key).or_else(|| syntax::label_value(value));
        problems.extend(message.map(|message| refuse(path, message)));
    }
    for (index, wanted) in selector.match_expressions.iter().flatten().enumerate() {
        let path = path.field("matchExpressions").index(index);
        let key = syntax::qualified_name(&wanted.key);
        problems.extend(key.map(|message| refuse(path.field("key"), message)));
        let values = wanted.values.as_deref().unwrap_or_default();
        let message = match wanted.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => "name at least one value",
            "Exists" | "DoesNotExist" if !values.is_empty() => "has no effect with this operator; remove it",
            "In" | "NotIn" | "Exists" | "DoesNotExist" => continue,
            _ => {
                let message = "write one of In, NotIn, Exists, DoesNotExist";
                problems.push(refuse(path.field("operator"), message));
                continue;
            }
        };
        problems.push(refuse(path.field("values"), message));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn paths(rule: Value) -> Vec<String> {
        let rule = serde_json::from_value(rule).expect("a rule");
        let found = check(&rule, &FieldPath::new("r"));
        found.iter().map(|problem| problem.path.to_string()).collect()
    }

    fn to(peer: &Value) -> Vec<String> {
        paths(json!({"to": [{"podSelector": {}}, peer]}))
    }

    #[test]
    fn what_the_api_server_takes_is_fine() {
        let rule = json!({
            "to": [
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                {"ipBlock": {"cidr": "2001:db8::/32"}},
                {"ipBlock": {"cidr": "0.0.0.0/0"}},
                {"podSelector": {"matchLabels": {"app": "x"}}, "namespaceSelector": {}},
                {"namespaceSelector": {"matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "Exists"},
                ]}},
            ],
            "ports": [{"port": 443}, {"port": "ldaps", "protocol": "TCP"}, {"port": 1, "endPort": 65535}, {}],
        });
        assert_eq!(paths(rule), [""; 0]);
    }

    #[test]
    fn a_network_that_is_none_is_named_wherever_it_stands() {
        let wrong = [
            "10.0.0.0/33",
            "10.0.0.300/8",
            "10.0.0.1",
            "waldur.example.org/32",
            "",
            "::/129",
            "1/8",
        ];
        for cidr in wrong {
            assert_eq!(
                to(&json!({"ipBlock": {"cidr": cidr}})),
                ["r.to[1].ipBlock.cidr"],
                "{cidr}"
            );
        }
        let found = networks(&wrong.map(str::to_owned), &FieldPath::new("c"));
        assert_eq!(found.len(), wrong.len(), "{found:?}");
        assert!(
            found[0].to_string().starts_with("c[0]: write an address"),
            "{found:?}"
        );
    }

    #[test]
    fn an_exception_has_to_be_a_part_of_its_network() {
        for except in [
            "192.0.2.0/24",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "10.0.0.0/40",
            "2001:db8::/64",
        ] {
            let block = json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16", except]}});
            assert_eq!(to(&block), ["r.to[1].ipBlock.except[1]"], "{except}");
        }
    }

    #[test]
    fn a_peer_is_a_network_or_selectors() {
        assert_eq!(to(&json!({})), ["r.to[1]"]);
        let both = json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}});
        assert_eq!(to(&both), ["r.to[1].ipBlock"]);
        let labels = json!({"podSelector": {"matchLabels": {"a b": "x", "c": "y z"}}});
        let expected = ["[\"a b\"]", ".c"].map(|key| format!("r.to[1].podSelector.matchLabels{key}"));
        assert_eq!(to(&labels), expected);
        for (expression, field) in [
            (json!({"key": "a", "operator": "In"}), "values"),
            (
                json!({"key": "a", "operator": "Exists", "values": ["b"]}),
                "values",
            ),
            (json!({"key": "a", "operator": "Is"}), "operator"),
            (json!({"key": "", "operator": "Exists"}), "key"),
        ] {
            let selector = json!({"namespaceSelector": {"matchExpressions": [expression]}});
            let path = format!("r.to[1].namespaceSelector.matchExpressions[0].{field}");
            assert_eq!(to(&selector), [path]);
        }
    }

    #[test]
    fn ports_are_in_their_range() {
        for (port, field) in [
            (json!({"port": 0}), "port"),
            (json!({"port": 65536}), "port"),
            (json!({"port": "443"}), "port"),
            (json!({"port": 443, "protocol": "tcp"}), "protocol"),
            (json!({"port": 443, "endPort": 442}), "endPort"),
            (json!({"port": 443, "endPort": 65536}), "endPort"),
            (json!({"port": "ldaps", "endPort": 700}), "endPort"),
            (json!({"endPort": 700}), "endPort"),
        ] {
            assert_eq!(
                paths(json!({"ports": [port]})),
                [format!("r.ports[0].{field}")],
                "{port}"
            );
        }
    }
}
