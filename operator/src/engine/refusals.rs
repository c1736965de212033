//! What the API server refused in one pass: who has to wait for it, and how it is told.

use std::fmt;

use reeve_crds::names;

use super::{
    calls::CallError,
    child::{Child, ChildKey, SHARED_COMPONENT},
    status::shortened,
};

/// Why the children are not as wanted.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A request failed, which ended the work.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Children were refused; the others are as wanted, but for those that need these.
    #[error(transparent)]
    Refused(#[from] Refusals),
}

/// Why one child is not as wanted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The name is taken.
    #[error("{0} exists and does not belong to this object; delete or rename it, or rename this object")]
    NameTaken(ChildKey),
}

/// The children that were refused.
#[derive(Debug, Default)]
pub struct Refusals(Vec<(String, Refusal)>);

impl Refusals {
    /// Adds that of `child`.
    pub fn add(&mut self, child: &Child, refusal: Refusal) {
        self.0.push((child.component().to_owned(), refusal));
    }

    /// Whether `child`, of a later stage, waits: something was refused that is of its own component or of the shared
    /// one.
    pub fn hold_back(&self, child: &Child) -> bool {
        let own = child.component();
        self.0
            .iter()
            .any(|(component, _)| component == own || component == SHARED_COMPONENT)
    }

    /// These as an error, unless there are none.
    pub fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The reason of the condition that tells of them.
    pub fn reason(&self) -> &'static str {
        let taken = |(_, refusal): &(String, Refusal)| matches!(refusal, Refusal::NameTaken(_));
        if self.0.iter().all(taken) {
            names::REASON_NAME_TAKEN
        } else {
            names::REASON_APPLY_FAILED
        }
    }
}

/// The longest message over all refusals, in bytes: what the API server says of one can be a whole object.
const LONGEST_MESSAGE: usize = 4096;

impl fmt::Display for Refusals {
    /// Each of them, with an equal share of [`LONGEST_MESSAGE`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, only)] = self.0.as_slice() {
            return write!(f, "{only}");
        }
        let share = (LONGEST_MESSAGE - 100) / self.0.len().max(1) - 2;
        write!(f, "{} children are refused: ", self.0.len())?;
        for (i, (_, refusal)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}", shortened(refusal.to_string(), share))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusals {}
