//! Types that an API server need not serve, such as the Prometheus operator's. While one is missing, its watch rests: it
//! is asked for again only while an object wants a child of it, so a cluster without costs no request.

use std::{fmt, sync::Arc, time::Duration};

use kube::runtime::watcher;

use super::{health::Progress, workers::Controlled};
use crate::engine::{cache::ChildIndex, child::ChildKind};

/// How often the type is asked for while an object lacks a child of it.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What to do while a type is missing, and when it comes.
pub struct Absence {
    /// The type.
    pub kind: ChildKind,
    /// Where it is noted.
    pub index: Arc<ChildIndex>,
    /// Whose objects may want it.
    pub controllers: Vec<Arc<dyn Controlled>>,
}

impl fmt::Debug for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Absence({:?})", self.kind)
    }
}

/// Whether this says that the type is not served, or not for this account, rather than that something is broken.
pub fn is_absent(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if [403, 404].contains(&status.code))
}

impl Absence {
    /// The type is missing.
    pub fn begins(&self) {
        if self.index.note_served(self.kind, false) {
            tracing::info!(kind = ?self.kind, "is not served any more");
        }
    }

    /// Everything of it is listed: whoever lacks a child of it gets one. All objects are looked at, because one whose
    /// pass is under way does not lack anything yet; a look that finds nothing to do costs no request.
    pub fn is_over(&self) {
        if self.index.note_served(self.kind, true) {
            tracing::info!(kind = ?self.kind, "is served");
            for controller in &self.controllers {
                controller.look_at_all();
            }
        }
    }

    /// Rests until it is worth asking again.
    pub async fn lasts(&self, progress: &Progress) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            progress.alive();
            if self
                .controllers
                .iter()
                .any(|controller| controller.lacks_optional())
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_type_is_absent_when_it_is_not_there_and_not_when_the_server_is_not() {
        let answer = |code| kube::Error::Api(Status::failure("no", "No").with_code(code).boxed());
        for (error, absent) in [
            (watcher::Error::InitialListFailed(answer(404)), true),
            (watcher::Error::WatchStartFailed(answer(404)), true),
            (watcher::Error::InitialListFailed(answer(403)), true),
            (watcher::Error::InitialListFailed(answer(503)), false),
            (watcher::Error::WatchFailed(answer(404)), false),
        ] {
            assert_eq!(is_absent(&error), absent, "{error}");
        }
    }
}
