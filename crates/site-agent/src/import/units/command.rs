//! `ExecStart=`: which mode the unit runs, and with which file.

use std::collections::BTreeMap;

use super::words;
use crate::{COMMAND, Mode, import::log::At};

/// What a unit's command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The mode that it runs.
    pub(super) mode: Mode,
    /// The configuration file that it reads; upstream's default is one in the working directory.
    pub(super) file: Option<String>,
}

/// Reads a command line of unit `unit`, with `environment` for the variables in it.
///
/// # Errors
/// A sentence with the remedy.
pub(super) fn read(
    line: &str,
    unit: &str,
    environment: &BTreeMap<String, (String, At)>,
) -> Result<Command, String> {
    let words = words::split(line).map_err(|error| error.to_string())?;
    let mut words = words.into_iter().map(|word| {
        let word = words::expand(&word, unit).map_err(|error| error.to_string())?;
        substitute(&word, environment)
    });
    let is_agent = |word: &Result<String, String>| {
        // Before the program there may be signs such as - or @, which say how systemd runs it.
        let word = word
            .as_deref()
            .unwrap_or_default()
            .trim_start_matches(['-', '@', ':', '+', '!', '|']);
        word.rsplit('/').next() == Some(COMMAND)
    };
    if !words.any(|word| is_agent(&word)) {
        return Err(format!(
            "does not run {COMMAND}, so its mode is unknown; give units that run the agent itself"
        ));
    }
    arguments(&words.collect::<Result<Vec<_>, _>>()?)
}

/// The agent's arguments, read as its own parser (Python's argparse) reads them.
fn arguments(words: &[String]) -> Result<Command, String> {
    let (mut mode, mut file) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let short = |flag: &str| word.strip_prefix(flag).filter(|_| !word.starts_with("--"));
        let (target, inline) = if let Some(rest) = short("-m") {
            (&mut mode, Some(rest.to_owned()).filter(|rest| !rest.is_empty()))
        } else if let Some(rest) = short("-c") {
            (&mut file, Some(rest.to_owned()).filter(|rest| !rest.is_empty()))
        } else if name.len() > 2 && "--mode".starts_with(name) {
            (&mut mode, inline)
        } else if name.len() > 2 && "--config-file".starts_with(name) {
            (&mut file, inline)
        } else {
            return Err(format!("{COMMAND} knows no argument {name:?}; remove it"));
        };
        let value = inline.or_else(|| words.next().cloned());
        *target = Some(value.ok_or_else(|| format!("{name} has no value; add it"))?);
    }
    let argument = mode.unwrap_or_else(|| Mode::Orders.argument().to_owned());
    let found = Mode::ALL.into_iter().find(|mode| mode.argument() == argument);
    let mode = found.ok_or_else(|| {
        format!("{argument:?} is no mode of the agent; write order_process, membership_sync, report or event_process")
    })?;
    Ok(Command { mode, file })
}

/// `word` with `${NAME}`, or a whole `$NAME`, replaced. `$$` is a dollar sign.
fn substitute(word: &str, environment: &BTreeMap<String, (String, At)>) -> Result<String, String> {
    let value = |name: &str| {
        let value = environment.get(name).map(|(value, _)| value.clone());
        value.ok_or_else(|| {
            format!("the variable {name} is set by no Environment= given; write its value in ExecStart")
        })
    };
    let mut rest = word;
    if let Some(name) = word.strip_prefix('$')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return value(name);
    }
    let mut substituted = String::new();
    while let Some((before, after)) = rest.split_once('$') {
        substituted.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            substituted.push('$');
            after
        } else if let Some((name, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            substituted.push_str(&value(name)?);
            after
        } else {
            substituted.push('$');
            after
        };
    }
    substituted.push_str(rest);
    Ok(substituted)
}

#[cfg(test)]
mod tests {
    use reeve_api_types::FieldPath;

    use super::*;

    fn command(line: &str) -> Result<(Mode, Option<String>), String> {
        let at = At::new("u", 1, FieldPath::default());
        let environment = BTreeMap::from([("MODE".to_owned(), ("report".to_owned(), at))]);
        read(line, "agent@event_process.service", &environment).map(|command| (command.mode, command.file))
    }

    #[test]
    fn the_mode_is_found_in_every_way_of_writing_it() {
        for (line, mode) in [
            ("waldur_site_agent", Mode::Orders),
            ("/opt/venv/bin/waldur_site_agent -m report", Mode::Reports),
            ("-/usr/bin/waldur_site_agent -mreport -c /x", Mode::Reports),
            (
                "/usr/bin/env waldur_site_agent --mode=membership_sync",
                Mode::Membership,
            ),
            ("waldur_site_agent --mo \"event_process\"", Mode::Events),
            ("waldur_site_agent -m %i", Mode::Events),
            ("waldur_site_agent -m ${MODE}", Mode::Reports),
            ("waldur_site_agent -m $MODE", Mode::Reports),
        ] {
            assert_eq!(command(line).map(|(mode, _)| mode), Ok(mode), "{line}");
        }
        assert_eq!(
            command("waldur_site_agent -c /etc/x.yaml").map(|(_, file)| file),
            Ok(Some("/etc/x.yaml".to_owned()))
        );
    }

    #[test]
    fn a_command_that_cannot_be_read_is_refused_with_the_reason() {
        for (line, said) in [
            ("/usr/bin/python3 agent.py", "does not run waldur_site_agent"),
            ("waldur_site_agent -m pull", "no mode"),
            ("waldur_site_agent -m", "has no value"),
            ("waldur_site_agent --verbose", "no argument"),
            ("waldur_site_agent -m ${X}", "variable X"),
            ("waldur_site_agent -m %H", "%H"),
            ("waldur_site_agent -m \"report", "not closed"),
        ] {
            let error = command(line).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
