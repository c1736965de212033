//! What keeps pods from being as wanted, as status tells it.

/// Why something is not as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Something outside has to change, as against: it takes a while.
    pub(super) waits: bool,
    /// A reason of the constants module.
    pub(super) reason: &'static str,
    /// A sentence.
    pub(super) message: String,
}

impl Trouble {
    /// Something outside has to change.
    pub(super) const fn waiting(reason: &'static str, message: String) -> Self {
        Self {
            waits: true,
            reason,
            message,
        }
    }

    /// It takes a while.
    pub(super) const fn passing(reason: &'static str, message: String) -> Self {
        Self {
            waits: false,
            reason,
            message,
        }
    }
}
