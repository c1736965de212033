//! The paths of the API outside guests: rights, storages, tasks; and how it refuses.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    guests,
    world::{Look, TOKEN, World},
};

/// A request, read.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: Vec<String>,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) authorization: Option<&'a str>,
}

/// A refusal: code, words, and parameters that are wrong.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) words: String,
    pub(crate) errors: BTreeMap<String, String>,
}

pub(crate) type Answer = Result<Value, Refusal>;

impl Refusal {
    pub(crate) fn new(code: u16, words: impl Into<String>) -> Self {
        Self {
            code,
            words: words.into(),
            errors: BTreeMap::new(),
        }
    }

    pub(crate) fn parameter(name: &str, words: &str) -> Self {
        Self {
            code: 400,
            words: "Parameter verification failed.".to_owned(),
            errors: BTreeMap::from([(name.to_owned(), words.to_owned())]),
        }
    }
}

/// Answers a call.
pub(crate) fn answer(world: &mut World, call: &Call<'_>) -> Answer {
    if call.authorization != Some(&format!("PVEAPIToken={TOKEN}")) {
        return Err(Refusal::new(401, "invalid token value!"));
    }
    if *call.method != Method::GET {
        world
            .changes
            .push(format!("{} /{}", call.method, call.path.join("/")));
    }
    let path: Vec<_> = call.path.iter().map(String::as_str).collect();
    match (call.method, &path[..]) {
        (&Method::GET, ["version"]) => {
            call.only(&[])?;
            Ok(json!({"version": "8.2.4", "release": "8.2", "repoid": "faa83925c9641325"}))
        }
        (&Method::GET, ["access", "permissions"]) => {
            call.only(&["path"])?;
            let path = call
                .parameters
                .get("path")
                .cloned()
                .unwrap_or_else(|| "/".to_owned());
            let rights: BTreeMap<_, _> = world.rights.iter().map(|right| (right, 1)).collect();
            Ok(json!({path: rights}))
        }
        (_, ["nodes", node, ..]) if *node != "pve" => Err(Refusal::new(
            500,
            format!("hostname lookup '{node}' failed - failed to get address info"),
        )),
        (&Method::GET, ["nodes", _, "storage", name, "status"]) => {
            call.only(&[])?;
            world.may("Datastore.Audit", &format!("/storage/{name}"))?;
            let storage = world
                .storages
                .get(*name)
                .ok_or_else(|| Refusal::new(500, format!("storage '{name}' does not exist")))?;
            Ok(
                json!({"type": storage.kind, "avail": storage.free, "active": 1, "enabled": 1, "content": "images,rootdir"}),
            )
        }
        (&Method::GET, ["nodes", _, "tasks"]) => {
            call.only(&[
                "vmid",
                "source",
                "limit",
                "since",
                "typefilter",
                "start",
                "errors",
            ])?;
            let vmid = call
                .parameters
                .get("vmid")
                .and_then(|vmid| vmid.parse::<u32>().ok());
            let tasks = world
                .tasks
                .iter()
                .filter(|task| vmid.is_none_or(|vmid| task.vmid == vmid));
            Ok(tasks
                .map(|task| {
                    let mut shown = json!({"upid": task.upid, "type": task.kind, "id": task.vmid.to_string(),
                        "starttime": task.started, "node": "pve", "user": "reeve@pve!rollout"});
                    if let Some(exit) = &task.exit {
                        shown["status"] = json!(exit);
                        shown["endtime"] = json!(task.started + 1);
                    }
                    shown
                })
                .collect())
        }
        (&Method::GET, ["nodes", _, "tasks", upid, "status"]) => {
            call.only(&[])?;
            match world.look(upid) {
                None => Err(Refusal::new(500, format!("unable to parse worker upid '{upid}'"))),
                Some(Look::Running) => Ok(json!({"upid": upid, "status": "running"})),
                Some(Look::Ended(exit)) => Ok(json!({"upid": upid, "status": "stopped", "exitstatus": exit})),
            }
        }
        (_, ["nodes", _, kind, vmid, rest @ ..]) => guests::answer(world, call, kind, vmid, rest),
        _ => Err(call.unknown()),
    }
}

impl Call<'_> {
    /// Refuses parameters that the call does not have.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self
            .parameters
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(Refusal::parameter(
                name,
                "property is not defined in schema and the schema does not allow additional properties",
            )),
        }
    }

    pub(crate) fn unknown(&self) -> Refusal {
        Refusal::new(
            501,
            format!(
                "Method '{} /{}' not implemented",
                self.method,
                self.path.join("/")
            ),
        )
    }
}

impl World {
    pub(crate) fn may(&self, right: &str, path: &str) -> Result<(), Refusal> {
        if self.rights.contains(right) {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            format!("Permission check failed ({path}, {right})"),
        ))
    }
}
