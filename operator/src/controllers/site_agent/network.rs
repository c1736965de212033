//! What the pods may be reached from (the port of probes and metrics) and, on request, what they may reach.

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use reeve_crds::names;

use super::pod::SUPERVISOR_PORT;
use crate::engine::{Owner, child::SHARED_COMPONENT};

/// What the spec says of the network, valid.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    /// Networks that may be reached; all when empty and no rule is given.
    pub cidrs: Vec<String>,
    /// Further rules.
    pub extra: Vec<NetworkPolicyEgressRule>,
}

/// One policy for the pods of all modes.
pub(super) fn policy(owner: &Owner, network: &Network) -> NetworkPolicy {
    let mut selector = owner.selector("");
    selector.remove(names::LABEL_COMPONENT);
    let closed = !network.cidrs.is_empty() || !network.extra.is_empty();
    let mut types = vec!["Ingress".to_owned()];
    if closed {
        types.push("Egress".to_owned());
    }
    NetworkPolicy {
        metadata: owner.meta(&owner.child_name(&[]), SHARED_COMPONENT),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            }),
            policy_types: Some(types),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(vec![tcp(SUPERVISOR_PORT)]),
                from: None,
            }]),
            egress: closed.then(|| egress(network)),
        }),
    }
}

fn egress(network: &Network) -> Vec<NetworkPolicyEgressRule> {
    let dns = ["UDP", "TCP"].map(|protocol| port(protocol, 53)).to_vec();
    // The API server has no pod selector; these are its ports behind the Service and on the node.
    let kubernetes = vec![tcp(443), tcp(6443)];
    let mut rules: Vec<_> = [dns, kubernetes]
        .map(|ports| NetworkPolicyEgressRule {
            ports: Some(ports),
            to: None,
        })
        .to_vec();
    if !network.cidrs.is_empty() {
        let peer = |cidr: &String| NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: cidr.clone(),
                except: None,
            }),
            ..NetworkPolicyPeer::default()
        };
        let to = network.cidrs.iter().map(peer).collect();
        rules.push(NetworkPolicyEgressRule {
            to: Some(to),
            ports: None,
        });
    }
    rules.extend(network.extra.iter().cloned());
    rules
}

fn tcp(number: i32) -> NetworkPolicyPort {
    port("TCP", number)
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}
