//! The way to the cluster: which one, as kubectl would choose it, and errors that say what to do.

use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Api, Client, Config,
    api::DynamicObject,
    config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
    core::Status,
};

use crate::{arguments::Connection, kinds::Row};

/// Under which name our changes stand in `metadata.managedFields`.
pub(crate) const FIELD_MANAGER: &str = "kubectl-reeve";
const AGENT: &str = concat!("kubectl-reeve/", env!("CARGO_PKG_VERSION"));

/// What can go wrong between us and the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig: {0}; see --kubeconfig and --context")]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither a kubeconfig nor a pod's account.
    #[error("no cluster is configured: {0}; name a file with --kubeconfig or KUBECONFIG")]
    Unconfigured(#[source] InferConfigError),
    /// No such object.
    #[error(
        "{kind} {name:?} not found in namespace {namespace}; kubectl reeve status {} -A lists those of all",
        kind.to_lowercase()
    )]
    NotFound {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The cluster does not know the kind.
    #[error(
        "the cluster does not know {0}; install Reeve, or its definitions: kubectl reeve crds | kubectl apply --server-side -f -"
    )]
    UnknownKind(&'static str),
    /// The API server said no.
    #[error("the API server refuses: {0}")]
    Refused(String),
    /// The API server knows us, and we may not.
    #[error(
        "{0}; the chart gives this right to the roles view (to look) and edit (to change), rbac.aggregate"
    )]
    Forbidden(String),
    /// The API server does not know us.
    #[error(
        "the API server does not accept the credentials of the kubeconfig: {0}; renew them, or see --context"
    )]
    Unauthorized(String),
    /// The API server did not answer.
    #[error("cannot reach the API server {url}: {cause}; does it run, and is it the one meant (--context)?")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why, in the words of the libraries.
        cause: String,
    },
}

/// A namespace of a cluster.
pub(crate) struct Cluster {
    client: Client,
    url: String,
    /// The namespace given, or the context's.
    pub(crate) namespace: String,
}

impl Cluster {
    /// Reads the configuration; sends nothing yet.
    pub(crate) async fn connect(connection: &Connection) -> Result<Self, ClusterError> {
        let mut config = config(connection).await?;
        config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        let namespace = connection
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| ClusterError::Unreachable {
            url: url.clone(),
            cause: chain(&error),
        })?;
        Ok(Self {
            client,
            url,
            namespace,
        })
    }

    /// The objects of `kind` in the namespace.
    pub(crate) fn api(&self, kind: &Row) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    /// Objects of a type of Kubernetes' own in the namespace.
    pub(crate) fn namespaced<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of `kind` in all namespaces.
    pub(crate) fn api_everywhere(&self, kind: &Row) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource())
    }

    /// What an error of a request for `name` means to a person; for a list the name is empty.
    pub(crate) fn explain(&self, error: &kube::Error, kind: &Row, name: &str) -> ClusterError {
        match error {
            kube::Error::Api(status) => self.refused(status, kind, name),
            error => ClusterError::Unreachable {
                url: self.url.clone(),
                cause: chain(error),
            },
        }
    }

    /// What the API server's refusal means; see [`Self::explain`].
    pub(crate) fn refused(&self, status: &Status, kind: &Row, name: &str) -> ClusterError {
        let message = status.message.clone();
        match status.code {
            // Another reason than NotFound, or a list: the path itself is unknown, and not an object under it.
            404 if name.is_empty() || status.reason != "NotFound" => ClusterError::UnknownKind(kind.name),
            404 => self.not_found(kind, name),
            403 => ClusterError::Forbidden(message),
            401 => ClusterError::Unauthorized(message),
            _ => ClusterError::Refused(message),
        }
    }

    /// That there is no such object.
    pub(crate) fn not_found(&self, kind: &Row, name: &str) -> ClusterError {
        ClusterError::NotFound {
            kind: kind.name,
            name: name.to_owned(),
            namespace: self.namespace.clone(),
        }
    }
}

async fn config(connection: &Connection) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        ..KubeConfigOptions::default()
    };
    match &connection.kubeconfig {
        Some(file) => Ok(Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?),
        None if options.context.is_some() => Ok(Config::from_kubeconfig(&options).await?),
        None => Config::infer().await.map_err(ClusterError::Unconfigured),
    }
}

/// An error with all its causes on one line; many libraries say only "connection error" at the top.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
