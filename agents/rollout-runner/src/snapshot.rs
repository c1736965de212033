//! Snapshots of the machine that a target runs on, whoever takes them: Proxmox VE, or commands of the user's.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reeve_rollout::{
    PointKind, RollbackPoint, StepResult,
    step::{
        CommandPlace, ListedKind, ListedSnapshot, RunCommand, SnapshotList, SnapshotSource, TakeSnapshot,
    },
};

use crate::{
    answer::{Answer, Outcome, Problem},
    command,
    host::Host,
    proxmox::Guest,
    redact::Redactor,
};

/// What takes snapshots.
#[derive(Debug)]
pub enum Snapshots<'a> {
    /// Proxmox VE.
    Proxmox(Box<Guest<'a>>),
    /// Commands.
    Commands(Commands<'a>),
}

/// Commands of the user's.
#[derive(Debug)]
pub struct Commands<'a> {
    create: &'a RunCommand,
    exists: &'a RunCommand,
    roll_back: &'a RunCommand,
    list: Option<&'a RunCommand>,
    host: Option<&'a Host<'a>>,
    deadline: Instant,
    redactor: &'a Redactor,
}

impl<'a> Snapshots<'a> {
    /// What `source` names.
    pub fn of(
        source: &'a SnapshotSource,
        host: Option<&'a Host<'a>>,
        deadline: Instant,
        redactor: &'a Redactor,
    ) -> Outcome<Self> {
        Ok(match source {
            SnapshotSource::Proxmox(guest) => Self::Proxmox(Box::new(Guest::of(guest, deadline, redactor)?)),
            SnapshotSource::Commands {
                create,
                exists,
                roll_back,
                list,
                ..
            } => Self::Commands(Commands {
                create,
                exists,
                roll_back,
                list: list.as_ref(),
                host,
                deadline,
                redactor,
            }),
        })
    }

    /// Whether snapshots can be taken. Commands cannot be asked without running them.
    pub async fn preflight(&self) -> Outcome {
        match self {
            Self::Proxmox(guest) => guest.preflight().await,
            Self::Commands(_) => Ok(Answer::saying(
                "snapshots are taken by commands, which are not tried",
            )),
        }
    }

    /// Takes one, or finds it taken, and looks that it is there.
    pub async fn take(&self, take: &TakeSnapshot, target: &str) -> Outcome {
        match self {
            Self::Proxmox(guest) => guest.take(take, target).await,
            Self::Commands(commands) => {
                commands.run(commands.create).await?;
                self.exists(&take.snapshot).await.map_err(Problem::touched)?;
                Ok(taken(&take.snapshot, target, Timestamp::now(), None))
            }
        }
    }

    /// Those that there are. The names of this rollout's own begin with `prefix`.
    pub async fn list(&self, prefix: &str) -> Outcome {
        let all = match self {
            Self::Proxmox(guest) => guest.listed(prefix).await?,
            Self::Commands(commands) => commands.listed(prefix).await?,
        };
        Ok(Answer {
            message: format!("there are {} snapshots", all.len()),
            snapshots: Some(SnapshotList::of(all)),
            ..Answer::default()
        })
    }

    /// Whether the snapshot is there.
    pub async fn exists(&self, snapshot: &str) -> Outcome<()> {
        match self {
            Self::Proxmox(guest) => guest.exists(snapshot).await.map(drop),
            Self::Commands(commands) => {
                commands
                    .run(commands.exists)
                    .await
                    .map(drop)
                    .map_err(|mut problem| {
                        problem.reason = "SnapshotMissing";
                        problem
                    })
            }
        }
    }

    /// Rolls the machine back.
    pub async fn roll_back(&self, snapshot: &str) -> Outcome {
        match self {
            Self::Proxmox(guest) => guest.roll_back(snapshot).await,
            Self::Commands(commands) => commands.run(commands.roll_back).await,
        }
    }

    /// Whether an attempt whose report was lost has taken a snapshot.
    pub async fn observe_taking(&self, take: &TakeSnapshot, target: &str) -> Outcome {
        match self {
            Self::Proxmox(guest) => guest.observe_taking(take, target).await,
            Self::Commands(commands) => match commands.run(commands.exists).await {
                Ok(_) => Ok(taken(&take.snapshot, target, Timestamp::now(), None)),
                Err(problem) if problem.result == StepResult::Errored => Err(problem),
                Err(_) => Err(Problem::inconclusive(
                    "NoEffect",
                    "there is no such snapshot; it can be taken again",
                )),
            },
        }
    }

    /// Whether an attempt whose report was lost has rolled back.
    pub async fn observe_roll_back(&self, snapshot: &str) -> Outcome {
        match self {
            Self::Proxmox(guest) => guest.observe_roll_back(snapshot).await,
            Self::Commands(_) => Err(Problem::inconclusive(
                "NoEffect",
                "a command cannot be asked whether it has rolled back; rolling back again does no harm",
            )),
        }
    }
}

impl Commands<'_> {
    /// Those that its own command prints: a name on each line, and the time behind it where there is one.
    async fn listed(&self, prefix: &str) -> Outcome<Vec<ListedSnapshot>> {
        let Some(list) = self.list else {
            return Err(Problem::failed(
                "NoListCommand",
                "there is no command that lists the snapshots: set commands.list of spec.snapshots",
            ));
        };
        let printed = match (list.place, self.host) {
            (CommandPlace::Host, Some(host)) => host.printed(list).await?,
            _ => command::printed(list, self.left(), self.redactor).await?,
        };
        Ok(printed.lines().filter_map(|line| listed(line, prefix)).collect())
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn run(&self, command: &RunCommand) -> Outcome {
        match (command.place, self.host) {
            (CommandPlace::Host, Some(host)) => host.run(command).await,
            (CommandPlace::Host, None) => Err(Problem::errored(
                "BadInstruction",
                "there is no host to run it on",
            )),
            (CommandPlace::Here, _) => command::here(command, self.left(), self.redactor).await,
        }
    }
}

/// A line of a list: `NAME` or `NAME TIME`.
fn listed(line: &str, prefix: &str) -> Option<ListedSnapshot> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    Some(ListedSnapshot {
        name: name.to_owned(),
        taken_at: words.next().and_then(|time| time.parse().ok()),
        kind: if name.starts_with(prefix) {
            ListedKind::Rollout
        } else {
            ListedKind::Other
        },
        memory: false,
    })
}

/// The answer of a snapshot that is there.
pub(crate) fn taken(snapshot: &str, target: &str, at: Timestamp, task: Option<String>) -> Answer {
    Answer {
        message: format!("snapshot {snapshot} is there"),
        rollback_point: Some(RollbackPoint {
            target: target.to_owned(),
            kind: PointKind::Snapshot,
            id: snapshot.to_owned(),
            revision: None,
            taken_at: at,
            values: Vec::new(),
        }),
        task,
        ..Answer::default()
    }
}
