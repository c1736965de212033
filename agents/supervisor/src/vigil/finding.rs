//! What was found out about something that the command depends on: one word and one sentence.
//! The words are part of Lease protocol 1; the sentences hold no text of others and nothing that changes by itself.

/// The word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// All is well.
    Succeeded,
    /// Nobody has looked yet, or it cannot be told.
    #[default]
    NotChecked,
    /// Fewer connections than there should be, although the other side answers.
    NoConnection,
    /// The other side lacks what the command needs.
    NotSupported,
    /// No answer, or none that makes sense.
    Unreachable,
    /// An answer, but of something else than Waldur's API. Protocol 1 calls it `Unreachable` too.
    NotWaldur,
    /// No secure connection.
    TlsError,
    /// The credentials are refused.
    Unauthorized,
}

impl Reason {
    /// The word as the protocol writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::NotChecked => "NotChecked",
            Self::NoConnection => "NoConnection",
            Self::NotSupported => "NotSupported",
            Self::Unreachable | Self::NotWaldur => "Unreachable",
            Self::TlsError => "TLSError",
            Self::Unauthorized => "Unauthorized",
        }
    }

    /// The word as a preflight writes it.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::NotWaldur => "NotWaldur",
            other => other.word(),
        }
    }

    /// How much it matters beside others: a person is needed for the last ones.
    const fn weight(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::NotChecked => 1,
            Self::NoConnection => 2,
            Self::Unreachable | Self::NotWaldur => 3,
            Self::NotSupported => 4,
            Self::TlsError => 5,
            Self::Unauthorized => 6,
        }
    }
}

/// Word and sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The word.
    pub reason: Reason,
    /// The sentence; may be empty.
    pub message: String,
}

impl Finding {
    /// A finding.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// All is well.
    pub fn good() -> Self {
        Self::new(Reason::Succeeded, "")
    }

    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.reason == Reason::Succeeded
    }

    /// Whether something is wrong, as against well or not known.
    pub const fn is_bad(&self) -> bool {
        !matches!(self.reason, Reason::Succeeded | Reason::NotChecked)
    }

    /// The sum of several: the worst word, and the sentences of all that are as bad or nearly so.
    pub fn sum(findings: impl IntoIterator<Item = Self>) -> Self {
        let mut bad: Vec<Self> = findings
            .into_iter()
            .filter(|finding| !finding.is_good())
            .collect();
        bad.sort_by_key(|finding| std::cmp::Reverse(finding.reason.weight()));
        let Some(worst) = bad.first() else {
            return Self::good();
        };
        let reason = worst.reason;
        let sentences: Vec<_> = bad.iter().map(|finding| finding.message.as_str()).collect();
        Self::new(reason, sentences.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_has_the_worst_word_and_every_complaint() {
        let sum = Finding::sum([
            Finding::good(),
            Finding::new(Reason::Unreachable, "b is away"),
            Finding::new(Reason::Unauthorized, "a refuses"),
        ]);
        assert_eq!(sum, Finding::new(Reason::Unauthorized, "a refuses; b is away"));
        assert_eq!(Finding::sum([Finding::good(), Finding::good()]), Finding::good());
        assert_eq!(Finding::sum([]), Finding::good());
    }
}
