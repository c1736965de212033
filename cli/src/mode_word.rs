//! The word behind `--mode`: a mode, which means all its pod groups, or one of them by name.

use std::ffi::OsStr;

use clap::{
    Arg, Command,
    builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser},
};
use reeve_site_agent::{Mode, Part};

/// Takes `MODE` and `MODE-GROUP`; only modes are offered, since groups are an object's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModeWord;

impl TypedValueParser for ModeWord {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let word = StringValueParser::new().parse_ref(command, argument, value)?;
        if word.parse::<Part>().is_ok() {
            return Ok(word);
        }
        // Its error lists the modes.
        PossibleValuesParser::new(Mode::ALL.map(Mode::slug)).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = Mode::ALL.map(|mode| PossibleValue::new(mode.slug()));
        Some(Box::new(values.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_and_one_of_its_groups_are_taken_and_anything_else_is_answered_with_the_modes() {
        let parse = |word: &str| ModeWord.parse_ref(&Command::new("c"), None, OsStr::new(word));
        for word in ["orders", "events", "orders-root", "reports-agent-moab-0123456789"] {
            assert_eq!(parse(word).expect(word), word);
        }
        for word in ["order", "orders-", "root", ""] {
            let error = parse(word).expect_err(word).to_string();
            assert!(error.contains("orders") && error.contains("events"), "{error}");
        }
    }
}
