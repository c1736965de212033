//! The kinds of targets: each is one module behind this trait. A new kind is a variant of `TargetKind` in the contract,
//! a module that implements the trait, and a line in `Attempt::carry_out`, where its name in an instruction leads to it.

use reeve_rollout::step::{Action, Deploy, Observe, Preflight, PutBack, SyncSecrets};

use crate::{
    answer::{Answer, Outcome, Problem},
    host::Host,
    kubernetes::Fields,
};

/// What is done with a target. Snapshots, checks, commands and messages are the same for all kinds, and are not here.
pub(crate) trait Target {
    /// What targets of this kind are called in messages.
    const CALLED: &'static str;

    /// Looks whether it can be deployed to.
    async fn preflight(&self, wanted: &Preflight) -> Outcome;

    /// Names what stands there as a rollback point; `name` is the target's.
    async fn record(&self, name: &str) -> Outcome;

    /// Deploys.
    async fn deploy(&self, deploy: &Deploy) -> Outcome;

    /// Puts back what stood there.
    async fn put_back(&self, back: &PutBack) -> Outcome;

    /// Finds out what became of an attempt whose report was lost.
    async fn observe(&self, observe: &Observe) -> Outcome;

    /// Puts files with secrets beside the live ones.
    async fn sync_secrets(&self, _: &SyncSecrets) -> Outcome {
        Err(unfit("bring files to", Self::CALLED))
    }

    /// Compares files with secrets.
    async fn compare_secrets(&self, _: &SyncSecrets) -> Outcome {
        Err(unfit("compare files on", Self::CALLED))
    }

    /// Looks at what can be judged without any check of the user's.
    async fn judge(&self) -> Outcome<()> {
        Ok(())
    }

    /// Gives back what a run holds there.
    async fn release(&self) -> Outcome {
        Ok(Answer::saying("nothing is held"))
    }

    /// The host that commands run on and checks can be made from.
    fn host(&self) -> Option<&Host<'_>> {
        None
    }
}

impl Target for Host<'_> {
    const CALLED: &'static str = "a host";

    async fn preflight(&self, wanted: &Preflight) -> Outcome {
        Host::preflight(self, wanted).await
    }

    async fn record(&self, name: &str) -> Outcome {
        Host::record(self, name).await
    }

    async fn deploy(&self, deploy: &Deploy) -> Outcome {
        Host::deploy(self, deploy).await
    }

    async fn put_back(&self, back: &PutBack) -> Outcome {
        Host::put_back(self, back).await
    }

    async fn observe(&self, observe: &Observe) -> Outcome {
        Host::observe(self, observe).await
    }

    async fn sync_secrets(&self, sync: &SyncSecrets) -> Outcome {
        Host::sync_secrets(self, sync).await
    }

    async fn compare_secrets(&self, sync: &SyncSecrets) -> Outcome {
        Host::compare_secrets(self, sync).await
    }

    async fn release(&self) -> Outcome {
        Host::release(self).await?;
        Ok(Answer::saying("the host's lock is given back"))
    }

    fn host(&self) -> Option<&Host<'_>> {
        Some(self)
    }
}

impl Target for Fields<'_> {
    const CALLED: &'static str = "Kubernetes objects";

    async fn preflight(&self, _: &Preflight) -> Outcome {
        Fields::preflight(self).await
    }

    async fn record(&self, name: &str) -> Outcome {
        Fields::record(self, name).await
    }

    async fn deploy(&self, deploy: &Deploy) -> Outcome {
        Fields::deploy(self, &deploy.before).await
    }

    async fn put_back(&self, back: &PutBack) -> Outcome {
        Fields::put_back(self, &back.to).await
    }

    async fn observe(&self, observe: &Observe) -> Outcome {
        match &observe.action {
            Action::Deploy(deploy) => Fields::observe(self, &deploy.before, true).await,
            Action::PutBack(back) => Fields::observe(self, &back.to, false).await,
            _ => Err(unfit("observe such an action on", Self::CALLED)),
        }
    }

    async fn judge(&self) -> Outcome<()> {
        self.settle().await.map(drop)
    }
}

/// A combination that no plan of this version has.
pub(crate) fn unfit(what: &str, on: &str) -> Problem {
    let message = format!("this runner cannot {what} {on}; use images of one version of Reeve");
    Problem::errored("BadInstruction", message)
}
