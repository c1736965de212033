//! A command of the user's on a host, in the folder of the deployment. No shell reads it.

use reeve_rollout::step::RunCommand;

use super::{Host, Script};
use crate::{
    answer::{Outcome, Problem},
    command::verdict,
    junit,
    ssh::Files,
};

/// The command's own exit code is the script's. A daemon that it leaves must not hold the fence for ever.
const RUN: &str = "exec \"$@\" 9>&-\n";
/// Before it: a report of an earlier attempt must not be taken for this one's. A device or a pipe is no report, and stays.
const FORGET: &str = "[ ! -f \"$reeve_junit\" ] || rm -f -- \"$reeve_junit\"\n";

impl Host<'_> {
    /// Runs it behind the fence, and reads the report that it leaves.
    pub async fn run(&self, command: &RunCommand) -> Outcome {
        let output = self.fenced(&self.body(command)?, true).await?;
        let junit = match self.report(command).await {
            Ok(junit) => junit,
            Err(problem) if output.ok() => return Err(problem.touched()),
            // That it failed is known without it.
            Err(_) => None,
        };
        let code = output.code.and_then(|code| i32::try_from(code).ok());
        verdict(
            command,
            code,
            &self.redactor.redact(&output.tail(3)),
            junit.as_deref(),
        )
    }

    /// Runs it as a check, which changes nothing: beside the fence, and its output is not kept.
    pub async fn check(&self, command: &RunCommand) -> Outcome<()> {
        self.printed(command).await.map(drop)
    }

    /// Runs it beside the fence, since it changes nothing, for what it prints to standard output.
    pub async fn printed(&self, command: &RunCommand) -> Outcome<String> {
        let script = Script::of(&["cd \"$reeve_directory\" || exit 90\n\"$@\" </dev/null\n"])
            .silent()
            .set("reeve_directory", self.directory())
            .arguments(words(command)?.iter().map(String::as_str));
        let output = self.look(&script).await?;
        if output.ok() {
            return Ok(output.stdout);
        }
        let code = output
            .code
            .map_or("a signal".to_owned(), |code| format!("code {code}"));
        let said = self.redactor.redact(&output.tail(2));
        Err(Problem::failed(
            "CommandFailed",
            format!("{} ended with {code}: {said}", command.run[0]),
        ))
    }

    async fn report(&self, command: &RunCommand) -> Outcome<Option<Vec<u8>>> {
        let Some(path) = &command.junit else {
            return Ok(None);
        };
        let files = Files::of(&self.connection).await?;
        files.read(path, junit::LARGEST).await
    }

    fn body(&self, command: &RunCommand) -> Outcome<Script> {
        let words = words(command)?;
        let words = words.iter().map(String::as_str);
        let script = match &command.junit {
            Some(junit) => self.script(&[FORGET, RUN]).set("reeve_junit", junit),
            None => self.script(&[RUN]),
        };
        Ok(script.silent().arguments(words))
    }
}

/// The words that run it with its environment. `env` sets variables of any name; a shell only those that it could have
/// itself.
fn words(command: &RunCommand) -> Outcome<Vec<String>> {
    if command.environment.is_empty() {
        return Ok(command.run.clone());
    }
    if let Some(program) = command.run.first().filter(|program| program.contains('=')) {
        let message = format!(
            "{program} cannot be run with an environment, since it reads as a variable: give it a name without ="
        );
        return Err(Problem::failed("CommandNotFound", message));
    }
    let variables = command.environment.iter();
    let set = variables.map(|(name, value)| format!("{name}={value}"));
    let head = ["env", "--"].map(str::to_owned).into_iter();
    Ok(head.chain(set).chain(command.run.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    fn command(run: &[&str], name: &str, value: &str) -> RunCommand {
        let command = json!({"place": "host", "run": run, "environment": {name: value}});
        serde_json::from_value(command).expect("a command")
    }

    #[test]
    fn variables_of_any_name_reach_a_command_and_none_is_an_option() {
        for name in ["PLAIN", "a.b", "a-b", "UID", "-p", "-i", "--help"] {
            let words = words(&command(&["env"], name, "one $HOME\n'two'")).expect("words");
            let script = Script::of(&["\"$@\"\n"])
                .silent()
                .arguments(words.iter().map(String::as_str));
            let output = Command::new("sh").args(["-c", &script.text("secret")]).output();
            let printed = String::from_utf8(output.expect("sh").stdout).expect("text");
            assert!(
                printed.contains(&format!("{name}=one $HOME\n'two'\n")),
                "{name}: {printed}"
            );
            assert!(!printed.contains("secret"), "{printed}");
        }
    }

    #[test]
    fn a_program_that_reads_as_a_variable_is_refused_beside_variables_only() {
        let mut command = command(&["./a=b"], "A", "1");
        assert!(words(&command).is_err());
        command.environment.clear();
        assert_eq!(words(&command).expect("words"), ["./a=b"]);
    }
}
