//! Faults: which requests are to go wrong, how, and how often. Pure.

use serde::{Deserialize, Serialize};

/// A fault in waiting. The oldest one that matches a request strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// Path that it strikes, `*` standing for any text: `/api/marketplace-orders/*`.
    pub path: String,
    /// Method that it strikes; none = every.
    #[serde(default)]
    pub method: Option<String>,
    /// Requests that it strikes before it is used up; none = all until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to the request.
    #[serde(flatten)]
    pub effect: FaultEffect,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum FaultEffect {
    /// The answer is this status, and the request changes nothing.
    Status {
        /// The status.
        code: u16,
    },
    /// The request is answered late.
    Delay {
        /// By how much, in milliseconds.
        millis: u64,
    },
    /// The request stays unanswered until the fault is cleared; then its connection is dropped.
    Hang,
    /// The connection is closed without an answer.
    Drop,
}

impl FaultRule {
    /// A fault for all methods of a path until cleared.
    pub fn new(path: &str, effect: FaultEffect) -> Self {
        Self {
            path: path.to_owned(),
            method: None,
            times: None,
            effect,
        }
    }

    /// Limits the fault to so many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    fn strikes(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self
                .method
                .as_deref()
                .is_none_or(|only| only.eq_ignore_ascii_case(method))
            && matches(&self.path, path)
    }
}

/// Whether a text matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(head) else {
        return false;
    };
    (0..=text.len()).any(|cut| text.is_char_boundary(cut) && matches(rest, &text[cut..]))
}

/// All faults in waiting.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    last: u64,
    rules: Vec<(u64, FaultRule)>,
}

impl Faults {
    /// Sets a fault and numbers it.
    pub(crate) fn set(&mut self, rule: FaultRule) -> u64 {
        self.last += 1;
        self.rules.push((self.last, rule));
        self.last
    }

    /// The fault that strikes a request, if any; it is counted.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Option<(u64, FaultEffect)> {
        let (number, rule) = self
            .rules
            .iter_mut()
            .find(|(_, rule)| rule.strikes(method, path))?;
        rule.times = rule.times.map(|times| times - 1);
        Some((*number, rule.effect))
    }

    /// Whether the fault has not been cleared. A used-up one still holds its hanging requests.
    pub(crate) fn is_set(&self, number: u64) -> bool {
        self.rules.iter().any(|(known, _)| *known == number)
    }

    /// Clears one fault; false if there is none of this number.
    pub(crate) fn clear(&mut self, number: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|(known, _)| *known != number);
        self.rules.len() < before
    }

    /// Clears all faults.
    pub(crate) fn clear_all(&mut self) {
        self.rules.clear();
    }

    /// The faults with their numbers.
    pub(crate) fn all(&self) -> &[(u64, FaultRule)] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_stars_matches_any_text_in_their_place() {
        for (pattern, text, expected) in [
            ("/api/users/me/", "/api/users/me/", true),
            ("/api/users/me/", "/api/users/", false),
            ("/api/*", "/api/users/me/", true),
            ("/api/*/me/", "/api/users/me/", true),
            ("*orders*done/", "/api/marketplace-orders/1/set_state_done/", true),
            (
                "*orders*done/",
                "/api/marketplace-orders/1/set_state_erred/",
                false,
            ),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} and {text}");
        }
    }

    #[test]
    fn a_fault_with_a_count_strikes_that_often_and_lets_the_next_request_pass() {
        let mut faults = Faults::default();
        faults.set(FaultRule::new("/api/*", FaultEffect::Status { code: 503 }).times(2));
        let struck: Vec<bool> = (0..3)
            .map(|_| faults.strike("GET", "/api/version/").is_some())
            .collect();
        assert_eq!(struck, [true, true, false]);
    }

    #[test]
    fn a_fault_for_one_method_spares_the_others() {
        let mut faults = Faults::default();
        let rule = FaultRule::new("*", FaultEffect::Drop);
        let number = faults.set(FaultRule {
            method: Some("POST".to_owned()),
            ..rule
        });
        assert_eq!(faults.strike("GET", "/"), None);
        assert_eq!(faults.strike("POST", "/"), Some((number, FaultEffect::Drop)));
        assert!(faults.clear(number) && !faults.is_set(number));
    }
}
