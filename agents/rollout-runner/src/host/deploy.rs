//! Deploying a commit to a host, and putting the previous one back. Both end when the containers are well.

use reeve_rollout::step::{Deploy, PutBack};

use super::{Host, commit, compose::COMPOSE};
use crate::{
    answer::{Answer, Outcome, Problem},
    ssh::Output,
};

const SECRETS: &str = include_str!("scripts/secrets.sh");
const DEPLOY: &str = include_str!("scripts/deploy.sh");
const PUT_BACK: &str = include_str!("scripts/put-back.sh");

impl Host<'_> {
    /// Makes secrets live, checks the commit out, and starts the project.
    pub async fn deploy(&self, deploy: &Deploy) -> Outcome {
        let Some(commit) = &deploy.commit else {
            return Err(Problem::errored(
                "BadInstruction",
                "a deployment to a host needs a commit",
            ));
        };
        commit::commit(commit, "the instruction deploys")?;
        commit::commit(&deploy.before.id, "the instruction names as deployed before")?;
        self.learn_secrets(&deploy.secrets).await?;
        self.take_lock().await?;
        let body = self
            .script(&[COMPOSE, SECRETS, DEPLOY])
            .set("before", &deploy.before.id)
            .set("commit", commit)
            .set("pull", if self.target.compose.pull { "yes" } else { "" })
            .arguments(deploy.secrets.iter().map(|file| file.path.as_str()));
        let output = self.fenced(&body, true).await?;
        if !output.ok() {
            return Err(self.broken(&output).await);
        }
        self.settle().await.map_err(Problem::touched)?;
        Ok(Answer {
            message: format!(
                "host {}: {} runs at commit {commit}",
                self.name(),
                deploy.revision
            ),
            commit: Some(commit.clone()),
            previous: (!deploy.secrets.is_empty()).then(|| self.previous(&self.instruction.run)),
            ..Answer::default()
        })
    }

    /// Puts secrets and the commit back, and starts the project.
    pub async fn put_back(&self, back: &PutBack) -> Outcome {
        commit::commit(&back.to.id, "the instruction goes back to")?;
        self.learn_secrets(&back.secrets).await?;
        self.take_lock().await?;
        let body = self
            .script(&[COMPOSE, SECRETS, PUT_BACK])
            .set("commit", &back.to.id)
            .set("undoes", &back.undoes)
            .set("pull", if self.target.compose.pull { "yes" } else { "" })
            .arguments(back.secrets.iter().map(|file| file.path.as_str()));
        let output = self.fenced(&body, true).await?;
        if !output.ok() {
            return Err(self.broken(&output).await);
        }
        self.settle().await.map_err(Problem::touched)?;
        Ok(Answer {
            message: format!("host {} is back at commit {}", self.name(), back.to.id),
            commit: Some(back.to.id.clone()),
            ..Answer::default()
        })
    }

    /// Folder on the host with the files that a run has replaced.
    fn previous(&self, run: &str) -> String {
        format!("{}/.git/reeve/runs/{run}/previous", self.directory())
    }

    /// The failure, with what Compose shows of the project where it came to that.
    async fn broken(&self, output: &Output) -> Problem {
        let problem = self.failure(output);
        // These refuse before they change anything.
        if matches!(output.code, Some(10 | 11 | 13 | 17)) {
            return problem;
        }
        if matches!(output.code, Some(19 | 20)) {
            self.evidence(&[]).await;
        }
        problem.touched()
    }
}
