//! The back end for a Kubernetes Lease, and the client to reach it with.
//! Foreign labels, annotations and fields of the Lease survive every write.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams, WatchEvent, WatchParams},
};

use crate::{Lock, LockError, Record, Seen, lock::Watch};

/// The server ends a watch after this many seconds; below the idle limits of usual load balancers.
const WATCH_SECONDS: u32 = 290;

/// A connection that takes longer to open is tried anew.
const CONNECT: Duration = Duration::from_secs(5);

/// A client for elections only. Without retries, since kube's can hold one call for minutes; without a read timeout,
/// since watches are silent for long. The elector limits each call by itself.
pub fn client(mut config: kube::Config) -> Result<kube::Client, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = None;
    kube::Client::try_from(config)
}

/// One Lease object.
#[derive(Clone, Debug)]
pub struct LeaseLock {
    api: Api<Lease>,
    namespace: String,
    name: String,
    may_create: bool,
}

impl LeaseLock {
    /// The Lease `namespace/name`, created when it does not exist. The client is one from [`client`].
    pub fn new(client: kube::Client, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        Self {
            api: Api::namespaced(client, &namespace),
            namespace,
            name,
            may_create: true,
        }
    }

    /// Never creates the Lease, only waits for it: `create` cannot be limited to one name in a Role.
    #[must_use]
    pub fn existing_only(self) -> Self {
        Self {
            may_create: false,
            ..self
        }
    }

    /// The Lease with the record written over it.
    fn lease(&self, base: Lease, record: &Record) -> Lease {
        let mut metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            // Left out, they stay as they are.
            managed_fields: None,
            ..base.metadata
        };
        if !record.annotations.is_empty() {
            metadata
                .annotations
                .get_or_insert_default()
                .extend(record.annotations.clone());
        }
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: record.holder.clone(),
                lease_duration_seconds: Some(i32::try_from(record.duration.as_secs()).unwrap_or(i32::MAX)),
                acquire_time: record.acquired.map(MicroTime),
                renew_time: record.renewed.map(MicroTime),
                lease_transitions: Some(record.transitions),
                ..base.spec.unwrap_or_default()
            }),
        }
    }

    fn error(&self, error: kube::Error) -> LockError {
        match error {
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => {
                LockError::Conflict
            }
            kube::Error::Api(status) if status.is_not_found() => {
                LockError::Missing(format!("{}/{}", self.namespace, self.name))
            }
            kube::Error::Api(status) => LockError::Refused(format!("{} ({})", status.message, status.code)),
            error => LockError::Failed(Box::new(error)),
        }
    }
}

/// A Lease as a record. What is absent or nonsense counts as free or long expired, as in client-go.
fn seen(lease: Lease) -> Seen<Lease> {
    let spec = lease.spec.clone().unwrap_or_default();
    let time = |time: Option<MicroTime>| time.map(|time| -> Timestamp { time.0 });
    let record = Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|n| n.try_into().ok())
                .unwrap_or(0),
        ),
        acquired: time(spec.acquire_time),
        renewed: time(spec.renew_time),
        transitions: spec.lease_transitions.unwrap_or(0),
        annotations: lease.metadata.annotations.clone().unwrap_or_default(),
    };
    Seen {
        record,
        handle: lease,
    }
}

impl Lock for LeaseLock {
    type Handle = Lease;

    async fn get(&self) -> Result<Option<Seen<Lease>>, LockError> {
        let lease = self
            .api
            .get_opt(&self.name)
            .await
            .map_err(|error| self.error(error))?;
        Ok(lease.map(seen))
    }

    async fn create(&self, record: &Record) -> Result<Seen<Lease>, LockError> {
        if !self.may_create {
            return Err(LockError::Missing(format!("{}/{}", self.namespace, self.name)));
        }
        let lease = self.lease(Lease::default(), record);
        let created = self.api.create(&PostParams::default(), &lease).await;
        created.map(seen).map_err(|error| self.error(error))
    }

    async fn replace(&self, handle: &Lease, record: &Record) -> Result<Seen<Lease>, LockError> {
        let lease = self.lease(handle.clone(), record);
        let replaced = self.api.replace(&self.name, &PostParams::default(), &lease).await;
        replaced.map(seen).map_err(|error| match self.error(error) {
            // Deleted since it was seen: as good as another version.
            LockError::Missing(_) => LockError::Conflict,
            error => error,
        })
    }

    fn watch(&self, from: Option<&Lease>) -> Watch<Lease> {
        let lock = self.clone();
        let version = from.and_then(|lease| lease.metadata.resource_version.clone());
        let parameters = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS);
        futures::stream::once(async move {
            // "0": from any state on, and it is told first, should the Lease have appeared in between.
            let events = lock
                .api
                .watch(&parameters, version.as_deref().unwrap_or("0"))
                .await;
            let events = events.map_err(|error| lock.error(error))?;
            Ok(events.filter_map(move |event| {
                let news = match event {
                    Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)) => Some(Ok(Some(seen(lease)))),
                    Ok(WatchEvent::Deleted(_)) => Some(Ok(None)),
                    Ok(WatchEvent::Bookmark(_)) => None,
                    Ok(WatchEvent::Error(status)) => Some(Err(lock.error(kube::Error::Api(status)))),
                    Err(error) => Some(Err(lock.error(error))),
                };
                std::future::ready(news)
            }))
        })
        .try_flatten()
        .boxed()
    }
}
