//! A command of the user's on a host, in the folder of the deployment. No shell reads it.

use reeve_rollout::step::RunCommand;

use super::{Host, Script};
use crate::{
    answer::{Outcome, Problem},
    command::verdict,
    ssh::Files,
};

/// The command's own exit code is the script's. A daemon that it leaves must not hold the fence for ever.
const RUN: &str = "\"$@\" 9>&-\n";
/// Before it: a report of an earlier attempt must not be taken for this one's.
const FORGET: &str = "rm -f \"$reeve_junit\"\n";

impl Host<'_> {
    /// Runs it behind the fence, and reads the report that it leaves.
    pub async fn run(&self, command: &RunCommand) -> Outcome {
        let output = self.fenced(&self.body(command, &[FORGET, RUN]), true).await?;
        let junit = match &command.junit {
            Some(path) => Files::of(&self.connection).await?.read(path).await?,
            None => None,
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
        let body = Script::of(&["cd \"$reeve_directory\" || exit 90\n\"$@\" </dev/null\n"]);
        let script = environment(body, command)
            .set("reeve_directory", self.directory())
            .arguments(command.run.iter().map(String::as_str));
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

    fn body(&self, command: &RunCommand, texts: &[&str]) -> Script {
        let junit = command.junit.as_deref().unwrap_or_default();
        let texts = if junit.is_empty() { &texts[1..] } else { texts };
        environment(self.script(texts), command)
            .set("reeve_junit", junit)
            .arguments(command.run.iter().map(String::as_str))
    }
}

fn environment(script: Script, command: &RunCommand) -> Script {
    let variables = command.environment.iter();
    variables.fold(script, |script, (name, value)| script.export(name, value))
}
