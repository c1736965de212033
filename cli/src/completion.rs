//! Completion: scripts for shells, and the answers that kubectl wants for `kubectl reeve` from a program
//! `kubectl_complete-reeve` on the PATH (the protocol of cobra: a candidate a line, then `:` and a directive).

use std::io::{self, Write};

use clap::{Arg, Command};

use crate::kinds;

/// The name under which kubectl asks for candidates.
pub(crate) const PROGRAM: &str = "kubectl_complete-reeve";

/// Cobra's directives: whether the shell adds names of files to the candidates.
const FILES: u8 = 0;
const NO_FILES: u8 = 4;

/// Answers kubectl: `words` is what stands behind `kubectl reeve`, the last one being typed.
pub(crate) fn answer(command: &Command, words: &[String], out: &mut dyn Write) -> io::Result<()> {
    let (typed, before) = words
        .split_last()
        .map_or(("", words), |(last, before)| (last.as_str(), before));
    let (candidates, directive) = candidates(command, before, typed.starts_with('-'));
    for candidate in candidates.iter().filter(|candidate| candidate.starts_with(typed)) {
        writeln!(out, "{candidate}")?;
    }
    writeln!(out, ":{directive}")
}

fn candidates(command: &Command, before: &[String], wants_flag: bool) -> (Vec<String>, u8) {
    let mut verb = command;
    let mut positionals = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            let Some(flag) = flags(verb).find(|flag| is_called(flag, word)) else {
                continue;
            };
            // The value is the next word; when there is none, it is what is being typed.
            if flag.get_action().takes_values() && words.next().is_none() {
                let values = values(flag);
                return if values.is_empty() {
                    (values, FILES)
                } else {
                    (values, NO_FILES)
                };
            }
        } else if let Some(found) = verb.find_subcommand(word) {
            verb = found;
        } else {
            positionals += 1;
        }
    }
    let candidates = if wants_flag {
        flags(verb)
            .filter_map(Arg::get_long)
            .map(|name| format!("--{name}"))
            .collect()
    } else if verb.has_subcommands() {
        verb.get_subcommands()
            .map(|verb| verb.get_name().to_owned())
            .collect()
    } else {
        verb.get_positionals()
            .nth(positionals)
            .map(positional)
            .unwrap_or_default()
    };
    (candidates, NO_FILES)
}

/// The flags of `verb`, those that stand anywhere among them.
fn flags(verb: &Command) -> impl Iterator<Item = &Arg> {
    // Building the command has given the verbs its global flags.
    verb.get_arguments().filter(|argument| !argument.is_positional())
}

fn is_called(flag: &Arg, word: &str) -> bool {
    let long = word
        .strip_prefix("--")
        .is_some_and(|name| flag.get_long() == Some(name));
    long || flag.get_short().is_some_and(|short| word == format!("-{short}"))
}

fn values(argument: &Arg) -> Vec<String> {
    let possible = argument.get_possible_values();
    possible.iter().map(|value| value.get_name().to_owned()).collect()
}

fn positional(argument: &Arg) -> Vec<String> {
    if argument.get_id() == "kind" {
        kinds::words()
    } else {
        values(argument)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::Arguments;

    fn answers(line: &str) -> Vec<String> {
        let mut command = Arguments::command();
        command.build();
        let words: Vec<_> = line.split(' ').map(ToOwned::to_owned).collect();
        let mut out = Vec::new();
        answer(&command, &words, &mut out).expect("written");
        String::from_utf8(out)
            .expect("UTF-8")
            .lines()
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn kubectl_is_told_verbs_kinds_flags_and_values() {
        assert_eq!(
            answers("re"),
            ["render", "reconcile", "resume", "restart", "retry", ":4"]
        );
        assert_eq!(
            answers("deploy a --environment "),
            ["Staging", "Production", ":4"]
        );
        assert_eq!(answers("approve a "), [":4"]);
        assert_eq!(
            answers("-n hpc status s"),
            ["siteagent", "siteagents", "sag", ":4"]
        );
        assert_eq!(answers("status sag "), [":4"]);
        assert_eq!(answers("status --wa"), ["--watch", ":4"]);
        assert_eq!(answers("render -o "), ["yaml", "json", ":4"]);
        assert_eq!(answers("render -f "), [":0"]);
        assert!(answers("suspend sag a --ku").contains(&"--kubeconfig".to_owned()));
        assert!(answers("completion ").contains(&"zsh".to_owned()));
    }
}
