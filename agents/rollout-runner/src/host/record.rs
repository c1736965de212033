//! What stands on a host, as a rollback point.

use jiff::Timestamp;
use reeve_rollout::{PointKind, RollbackPoint};

use super::{Host, commit::commit};
use crate::answer::{Answer, Outcome};

const HEAD: &str = include_str!("scripts/head.sh");

impl Host<'_> {
    /// Names the commit that the working tree is at. Refused with changes in it.
    pub async fn record(&self, target: &str) -> Outcome {
        let output = self.look(&self.script(&[HEAD])).await?;
        if !output.ok() {
            return Err(self.failure(&output));
        }
        let whose = format!("host {} has its working tree at", self.name());
        let commit = commit(output.value("head").unwrap_or_default(), &whose)?.to_owned();
        let branch = output.value("branch").filter(|branch| !branch.is_empty());
        Ok(Answer {
            message: format!("host {} is at commit {commit}", self.name()),
            rollback_point: Some(RollbackPoint {
                target: target.to_owned(),
                kind: PointKind::Commit,
                id: commit,
                revision: branch.map(str::to_owned),
                taken_at: Timestamp::now(),
                values: Vec::new(),
            }),
            ..Answer::default()
        })
    }
}
