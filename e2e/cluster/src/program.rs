//! The programs of a cluster: what each is called, how it is started, and where it says that it is healthy.
//! Flags and their values are those of kubeadm where it sets any.

use std::fmt;

use crate::layout::NODE_DIRECTORY;

/// A long-running program of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The store; on disk, without fsync.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The container runtime, from Debian.
    Containerd,
    /// The node's agent.
    Kubelet,
    /// Services, by nftables.
    Proxy,
    /// The cluster's name server, beside kubelet and not in a pod.
    CoreDns,
}

/// Where a program answers that it is healthy.
pub(crate) enum Health {
    /// A URL that answers 200, inside the network namespace.
    Url(&'static str),
    /// A command of its own must succeed.
    Command(&'static str, &'static [&'static str]),
}

impl Program {
    /// What an API needs: no pod will run.
    pub const CONTROL_PLANE: [Self; 3] = [Self::Etcd, Self::ApiServer, Self::ControllerManager];
    /// What a cluster with a node needs.
    pub const ALL: [Self; 8] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Containerd,
        Self::Kubelet,
        Self::Proxy,
        Self::CoreDns,
    ];

    /// The name it has upstream, on the command line, and of its log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
            Self::CoreDns => "coredns",
        }
    }

    /// The program of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }

    /// The executable, as the node sees it.
    pub(crate) fn executable(self) -> String {
        match self {
            Self::Containerd => "containerd".to_owned(),
            kube => format!("{NODE_DIRECTORY}/bin/{}", kube.name()),
        }
    }

    /// Its command line, in a cluster with a node or without.
    pub(crate) fn arguments(self, node: bool) -> Vec<String> {
        let lines = match self {
            Self::Etcd => ETCD,
            Self::ApiServer => API_SERVER,
            Self::ControllerManager => CONTROLLER_MANAGER,
            Self::Scheduler => SCHEDULER,
            Self::Containerd => &["--config=@/containerd.toml"],
            Self::Kubelet => KUBELET,
            Self::Proxy => &["--config=@/kube-proxy.yaml"],
            Self::CoreDns => &["-conf=@/Corefile"],
        };
        let more = match self {
            Self::ControllerManager if !node => WITHOUT_NODE,
            _ => &[],
        };
        lines
            .iter()
            .chain(more)
            .map(|line| line.replace('@', NODE_DIRECTORY))
            .collect()
    }

    pub(crate) fn health(self) -> Health {
        match self {
            Self::Etcd => Health::Url("http://127.0.0.1:2379/health"),
            Self::ApiServer => Health::Url("https://127.0.0.1:6443/readyz"),
            Self::ControllerManager => Health::Url("https://127.0.0.1:10257/healthz"),
            Self::Scheduler => Health::Url("https://127.0.0.1:10259/healthz"),
            Self::Containerd => Health::Command("ctr", &["version"]),
            Self::Kubelet => Health::Url("http://127.0.0.1:10248/healthz"),
            Self::Proxy => Health::Url("http://127.0.0.1:10256/healthz"),
            Self::CoreDns => Health::Url("http://127.0.0.1:8181/ready"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// In all of these, @ stands for the node's directory.

const ETCD: &[&str] = &[
    "--data-dir=/var/lib/etcd",
    "--listen-client-urls=http://127.0.0.1:2379",
    "--advertise-client-urls=http://127.0.0.1:2379",
    "--listen-peer-urls=http://127.0.0.1:2380",
    "--initial-advertise-peer-urls=http://127.0.0.1:2380",
    "--initial-cluster=default=http://127.0.0.1:2380",
    // A test cluster need not survive a power cut, only its own programs' deaths.
    "--unsafe-no-fsync",
    // Milliseconds; it elects itself, and at the stock 1000 that alone takes most of a second.
    "--heartbeat-interval=40",
    "--election-timeout=200",
];

const API_SERVER: &[&str] = &[
    "--etcd-servers=http://127.0.0.1:2379",
    "--advertise-address=198.18.0.1",
    "--secure-port=6443",
    "--service-cluster-ip-range=198.18.128.0/20",
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--cert-dir=/var/lib/kubernetes/generated",
    "--tls-cert-file=@/pki/server.crt",
    "--tls-private-key-file=@/pki/server.key",
    "--client-ca-file=@/pki/ca.crt",
    "--token-auth-file=@/tokens.csv",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-account-key-file=@/pki/service-accounts.pub",
    "--service-account-signing-key-file=@/pki/service-accounts.key",
    "--kubelet-preferred-address-types=InternalIP",
    "--kubelet-certificate-authority=@/pki/ca.crt",
    "--kubelet-client-certificate=@/pki/kubelet-client.crt",
    "--kubelet-client-key=@/pki/kubelet-client.key",
    "--audit-policy-file=@/audit-policy.yaml",
    "--audit-log-path=/var/log/audit.jsonl",
    // Tests count lines: the file must never be rotated (megabytes).
    "--audit-log-maxsize=100000",
];

const CONTROLLER_MANAGER: &[&str] = &[
    "--kubeconfig=@/kube-controller-manager.kubeconfig",
    "--leader-elect=false",
    "--use-service-account-credentials=true",
    // At the stock 20 requests per second, starting the controllers alone takes four seconds.
    "--kube-api-qps=1000",
    "--kube-api-burst=1000",
    "--root-ca-file=@/pki/ca.crt",
    "--service-account-private-key-file=@/pki/service-accounts.key",
    "--tls-cert-file=@/pki/server.crt",
    "--tls-private-key-file=@/pki/server.key",
];

/// What watches nodes has no work without any, and pods that no node takes are not to be collected as garbage.
const WITHOUT_NODE: &[&str] = &[
    "--controllers=deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller,\
     serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,\
     job-controller,cronjob-controller,statefulset-controller,disruption-controller,\
     endpointslice-controller,ttl-after-finished-controller,clusterrole-aggregation-controller",
];

const SCHEDULER: &[&str] = &[
    "--kubeconfig=@/kube-scheduler.kubeconfig",
    "--leader-elect=false",
    "--tls-cert-file=@/pki/server.crt",
    "--tls-private-key-file=@/pki/server.key",
];

const KUBELET: &[&str] = &[
    "--config=@/kubelet.yaml",
    "--kubeconfig=@/kubelet.kubeconfig",
    "--hostname-override=node0",
    "--node-ip=198.18.0.1",
    "--root-dir=/var/lib/kubelet",
    "--cert-dir=/var/lib/kubelet/pki",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name() {
        for program in Program::ALL {
            assert_eq!(Program::named(program.name()), Some(program));
        }
        assert_eq!(Program::named("api"), None);
    }

    #[test]
    fn every_path_in_the_arguments_is_the_nodes_own() {
        for argument in Program::ALL
            .into_iter()
            .flat_map(|program| program.arguments(false))
        {
            let path = argument.split_once('=').map_or("", |(_, value)| value);
            assert!(!path.starts_with('/') || path.starts_with("/var/"), "{argument}");
            assert!(!argument.contains('@'), "{argument}");
        }
    }
}
