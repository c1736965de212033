//! The Kubernetes API, as the account that the step runs as. Objects are plain JSON: any kind can be a target.

use kube::{Client, Config};
use reeve_rollout::spec::ReadyCheck;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::kstatus::{Verdict, verdict};
use crate::{
    answer::{Outcome, Problem},
    check::Readiness,
};

/// Under this name the API server notes which fields are ours.
pub(super) const MANAGER: &str = "reeve-rollout";

/// The API. The connection is made when it is first needed.
#[derive(Default)]
pub struct Cluster {
    client: OnceCell<Client>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// An object by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectName<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl std::fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What became of a patch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Patched {
    /// It was applied.
    Applied,
    /// A test of it failed: somebody has changed the object since it was read.
    Changed(String),
}

impl Cluster {
    /// That of a client. The default finds its own: the cluster that it runs in, or that of KUBECONFIG.
    pub fn of(client: Client) -> Self {
        Self {
            client: OnceCell::new_with(Some(client)),
        }
    }

    async fn client(&self) -> Outcome<&Client> {
        let connect = async || {
            let config = Config::infer().await.map_err(|error| error.to_string())?;
            Client::try_from(config).map_err(|error| error.to_string())
        };
        self.client.get_or_try_init(connect).await.map_err(|error| {
            Problem::errored(
                "NoCluster",
                format!("there is no way to the Kubernetes API: {error}"),
            )
        })
    }

    /// The object's URL, by what the API server says of its kind.
    async fn url(&self, name: &ObjectName<'_>) -> Outcome<String> {
        let root = if name.api_version.contains('/') {
            format!("/apis/{}", name.api_version)
        } else {
            format!("/api/{}", name.api_version)
        };
        let list = match self.send("GET", &root, None).await? {
            Ok(list) => list,
            Err((404, _)) => return Err(no_kind(name)),
            Err((code, message)) => return Err(refused(name, code, &message)),
        };
        let resources = list["resources"].as_array().cloned().unwrap_or_default();
        let found = resources
            .iter()
            .find(|resource| {
                resource["kind"] == name.kind && !resource["name"].as_str().unwrap_or("/").contains('/')
            })
            .ok_or_else(|| no_kind(name))?;
        let plural = found["name"].as_str().unwrap_or_default();
        Ok(if found["namespaced"] == true {
            format!("{root}/namespaces/{}/{plural}/{}", name.namespace, name.name)
        } else {
            format!("{root}/{plural}/{}", name.name)
        })
    }

    /// Reads an object.
    pub(super) async fn get(&self, name: &ObjectName<'_>) -> Outcome<Value> {
        let url = self.url(name).await?;
        let answer = self.send("GET", &url, None).await?;
        answer.map_err(|(code, message)| refused(name, code, &message))
    }

    /// Patches an object. With `dry` the API server only looks whether it would.
    pub(super) async fn patch(
        &self,
        name: &ObjectName<'_>,
        operations: &[Value],
        dry: bool,
    ) -> Outcome<Patched> {
        let dry = if dry { "&dryRun=All" } else { "" };
        let url = format!("{}?fieldManager={MANAGER}{dry}", self.url(name).await?);
        let answer = self
            .send("PATCH", &url, Some(&Value::from(operations.to_vec())))
            .await;
        match answer.map_err(Problem::touched)? {
            Ok(_) => Ok(Patched::Applied),
            Err((409, message)) => Ok(Patched::Changed(message)),
            // A test that fails has these words alone, as has a patch that cannot be applied otherwise.
            Err((422, message)) if message.starts_with("the server rejected our request due to an error") => {
                Ok(Patched::Changed(message))
            }
            Err((code, message)) => Err(refused(name, code, &message)),
        }
    }

    /// What the API server answers: an object, or a code and its words.
    async fn send(
        &self,
        method: &str,
        url: &str,
        patch: Option<&Value>,
    ) -> Outcome<Result<Value, (u16, String)>> {
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "application/json");
        let request = match patch {
            Some(_) => request.header("content-type", "application/json-patch+json"),
            None => request,
        };
        let body = patch
            .map(|patch| patch.to_string().into_bytes())
            .unwrap_or_default();
        let request = request.body(body).map_err(|error| {
            Problem::errored("BadInstruction", format!("{url} cannot be asked for: {error}"))
        })?;
        match self.client().await?.request::<Value>(request).await {
            Ok(object) => Ok(Ok(object)),
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                Ok(Err((status.code, status.message)))
            }
            Err(error) => Err(Problem::errored(
                "ApiError",
                format!("the Kubernetes API does not answer: {error}"),
            )),
        }
    }
}

impl Readiness for Cluster {
    async fn ready(&self, check: &ReadyCheck) -> Result<(), String> {
        let name = ObjectName {
            api_version: &check.api_version,
            kind: &check.kind,
            namespace: check.namespace.as_deref().unwrap_or("default"),
            name: &check.name,
        };
        let object = self.get(&name).await.map_err(|problem| problem.message)?;
        match verdict(&object) {
            Verdict::Current => Ok(()),
            Verdict::InProgress(why) | Verdict::Failed(why) => Err(format!("{name}: {why}")),
        }
    }
}

fn no_kind(name: &ObjectName<'_>) -> Problem {
    Problem::failed(
        "NoKind",
        format!(
            "the cluster has no kind {} in {}: see kubectl api-resources",
            name.kind, name.api_version
        ),
    )
}

fn refused(name: &ObjectName<'_>, code: u16, message: &str) -> Problem {
    match code {
        404 => Problem::failed("NoObject", format!("there is no {name}: {message}")),
        401 | 403 => Problem::failed(
            "Forbidden",
            format!(
                "the account of this step may not: {message}; grant it get and patch on {name} by a Role and a RoleBinding"
            ),
        ),
        _ => Problem::failed(
            "Refused",
            format!("the API server refuses it for {name}: {message}"),
        ),
    }
}
