//! The paths of a guest: its status, configuration and snapshots.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    api::{Answer, Call, Refusal},
    world::{Effect, Guest, Kind, Snapshot, World},
};

pub(crate) fn answer(world: &mut World, call: &Call<'_>, kind: &str, vmid: &str, rest: &[&str]) -> Answer {
    let (Some(kind), Ok(vmid)) = (Kind::of(kind), vmid.parse::<u32>()) else {
        return Err(call.unknown());
    };
    let path = format!("/vms/{vmid}");
    world.may("VM.Audit", &path)?;
    let Some(guest) = world
        .guests
        .get(&vmid)
        .filter(|guest| guest.kind == kind)
        .cloned()
    else {
        let server = if kind == Kind::Qemu { "qemu-server" } else { "lxc" };
        return Err(Refusal::new(
            500,
            format!("Configuration file 'nodes/pve/{server}/{vmid}.conf' does not exist"),
        ));
    };
    let task = |what: &str| format!("{}{what}", kind.task());
    match (call.method, rest) {
        (&Method::GET, ["status", "current"]) => {
            call.only(&[])?;
            let status = if guest.running { "running" } else { "stopped" };
            Ok(json!({"vmid": vmid, "status": status, "maxmem": guest.memory}))
        }
        (&Method::POST, ["status", "start"]) => {
            call.only(&["timeout", "skiplock"])?;
            world.may("VM.PowerMgmt", &path)?;
            if guest.running {
                return Err(Refusal::new(500, format!("VM {vmid} already running")));
            }
            Ok(world.begin(&task("start"), vmid, Effect::Start { vmid }).into())
        }
        (&Method::GET, ["config"]) => {
            call.only(&["current", "snapshot"])?;
            Ok(json!(guest.config))
        }
        (&Method::GET, ["feature"]) => {
            call.only(&["feature", "snapname"])?;
            let mut disks = guest.config.values().filter_map(|value| value.split_once(':'));
            let able = disks.all(|(storage, _)| {
                world
                    .storages
                    .get(storage)
                    .is_none_or(|storage| storage.snapshots)
            });
            Ok(json!({"hasFeature": i32::from(able), "nodes": ["pve"]}))
        }
        (_, ["snapshot", rest @ ..]) => snapshots(world, call, &guest, vmid, rest),
        _ => Err(call.unknown()),
    }
}

fn snapshots(world: &mut World, call: &Call<'_>, guest: &Guest, vmid: u32, rest: &[&str]) -> Answer {
    let path = format!("/vms/{vmid}");
    let task = |what: &str| format!("{}{what}", guest.kind.task());
    match (call.method, rest) {
        (&Method::GET, []) => {
            call.only(&[])?;
            let mut parent = None;
            let mut all: Vec<Value> = Vec::new();
            for snapshot in &guest.snapshots {
                let mut shown = json!({"name": snapshot.name, "snaptime": snapshot.time, "description": ""});
                if guest.kind == Kind::Qemu {
                    shown["vmstate"] = json!(i32::from(snapshot.memory));
                }
                if let Some(parent) = parent.replace(&snapshot.name) {
                    shown["parent"] = json!(parent);
                }
                all.push(shown);
            }
            let mut current = json!({"name": "current", "description": "You are here!", "running": i32::from(guest.running)});
            if let Some(parent) = &guest.parent {
                current["parent"] = json!(parent);
            }
            all.push(current);
            Ok(all.into())
        }
        (&Method::POST, []) => {
            let known: &[&str] = if guest.kind == Kind::Qemu {
                &["snapname", "description", "vmstate"]
            } else {
                &["snapname", "description"]
            };
            call.only(known)?;
            world.may("VM.Snapshot", &path)?;
            let name = call.parameters.get("snapname").cloned().unwrap_or_default();
            if !is_id(&name) {
                return Err(Refusal::parameter(
                    "snapname",
                    &format!("invalid format - invalid configuration ID '{name}'"),
                ));
            }
            if guest.snapshots.iter().any(|snapshot| snapshot.name == name) {
                return Err(Refusal::new(500, format!("snapshot name '{name}' already used")));
            }
            let snapshot = Snapshot {
                name,
                time: world.clock + 1,
                memory: call.parameters.get("vmstate").is_some_and(|memory| memory == "1"),
            };
            Ok(world
                .begin(&task("snapshot"), vmid, Effect::Snapshot { vmid, snapshot })
                .into())
        }
        (method, [name, rest @ ..]) => {
            let roll_back = match (method, rest) {
                (&Method::DELETE, []) => false,
                (&Method::POST, ["rollback"]) => true,
                _ => return Err(call.unknown()),
            };
            call.only(if roll_back { &["start"] } else { &["force"] })?;
            world.may(
                if roll_back {
                    "VM.Snapshot.Rollback"
                } else {
                    "VM.Snapshot"
                },
                &path,
            )?;
            if !guest.snapshots.iter().any(|snapshot| snapshot.name == *name) {
                return Err(Refusal::new(500, format!("snapshot '{name}' does not exist")));
            }
            let name = (*name).to_owned();
            let (kind, effect) = if roll_back {
                ("rollback", Effect::RollBack { vmid, name })
            } else {
                ("delsnapshot", Effect::Delete { vmid, name })
            };
            Ok(world.begin(&task(kind), vmid, effect).into())
        }
        _ => Err(call.unknown()),
    }
}

/// pve-configid, of at most 40 characters.
fn is_id(name: &str) -> bool {
    let word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    name.len() >= 2
        && name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(word)
}
