//! Running other programs to their end, with an error that says which one failed and what it said.
//! Long-running programs of the cluster are in `process` instead.

use std::env;
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};
use crate::layout::checkout;

/// cargo, in the checkout. When cargo runs us, it describes our own package in variables; build scripts that look at
/// such variables would find them changed, and ring with all that needs it would be compiled anew at each turn.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(checkout());
    for (name, _) in env::vars_os() {
        let described = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| described.iter().any(|prefix| name.starts_with(prefix)))
        {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command with nothing on its standard input and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    checked(command, command_output)
}

/// Runs a command that talks to the user itself: its output goes where ours goes.
pub(crate) fn passed_through(command: &mut Command) -> Result<()> {
    checked(command, |command| {
        let status = command.stdin(Stdio::null()).status()?;
        Ok(Output {
            status,
            stdout: Vec::new(),
            stderr: b"its own output above says why".to_vec(),
        })
    })
    .map(drop)
}

/// Runs a command with the standard input it already has.
pub(crate) fn fed(command: &mut Command) -> Result<String> {
    checked(command, Command::output)
}

fn command_output(command: &mut Command) -> std::io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

fn checked(
    command: &mut Command,
    run: impl FnOnce(&mut Command) -> std::io::Result<Output>,
) -> Result<String> {
    let line = line(command);
    match run(command) {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(Error::Command {
            command: line,
            status: output.status.to_string(),
            output: tail(&String::from_utf8_lossy(&output.stderr), 20),
        }),
        Err(error) => Err(Error::Command {
            command: line,
            status: error.to_string(),
            output: "is it installed? hack/setup.sh names the packages".to_owned(),
        }),
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("sh -c") && message.contains("no such thing") && message.contains('3'),
            "{message}"
        );
    }

    #[test]
    fn a_missing_program_points_to_the_set_up() {
        let message = output(&mut Command::new("/nonexistent/program"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("/nonexistent/program") && message.contains("hack/setup.sh"),
            "{message}"
        );
    }

    #[test]
    fn the_tail_of_a_short_text_is_all_of_it() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 5), "a");
    }
}
