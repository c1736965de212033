//! The plugin's page, docs/kubectl-reeve.md: every verb and flag is on it, and what its examples show is what happens.

mod binary;

use std::collections::BTreeSet;

use crate::binary::{code, err, out, run};

const PAGE: &str = include_str!("../../docs/kubectl-reeve.md");
const STATUS: &str = include_str!(
    "../src/status/snapshots/kubectl_reeve__status__tests__an_object_that_runs_shows_conditions_modes_and_offerings.snap"
);

fn help(arguments: &[&str]) -> String {
    let output = run(&[arguments, &["--help"]].concat(), b"");
    assert_eq!(code(&output), 0, "{}", err(&output));
    out(&output).to_owned()
}

/// The verbs, as the help lists them.
fn verbs() -> Vec<String> {
    let help = help(&[]);
    let (_, rest) = help.split_once("Commands:\n").expect("a list of verbs");
    let (list, _) = rest.split_once("\n\n").expect("an end of it");
    let names = list.lines().filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}

/// The commands of the page's console blocks, each with the lines that it prints.
fn examples() -> Vec<(&'static str, String)> {
    let blocks = PAGE
        .split("```console\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"));
    let examples = blocks.flat_map(|(block, _)| block.split("$ kubectl reeve ").skip(1));
    let example = |text: &'static str| text.split_once('\n').expect("a command and what it prints");
    examples
        .map(example)
        .map(|(command, shown)| (command, shown.to_owned()))
        .collect()
}

#[test]
fn each_verb_and_each_of_its_flags_is_on_the_page() {
    let verbs = verbs();
    assert!(verbs.len() >= 8, "{verbs:?}");
    for verb in verbs {
        let heading = PAGE
            .lines()
            .find(|line| line.starts_with("## ") && line.contains(verb.as_str()));
        assert!(heading.is_some(), "{verb} has no section");
        let flags: BTreeSet<_> = help(&[&verb])
            .split([' ', ',', '\n'])
            .filter(|word| word.starts_with("--") && *word != "--help")
            .map(ToOwned::to_owned)
            .collect();
        for flag in flags {
            assert!(PAGE.contains(&flag), "{verb}: {flag} is not on the page");
        }
    }
}

#[test]
fn the_exit_codes_on_the_page_are_those_of_the_help() {
    let help = help(&[]);
    let (_, codes) = help.split_once("Exit codes:\n").expect("exit codes");
    assert_eq!(codes.lines().count(), 6);
    for line in codes.lines() {
        assert!(PAGE.contains(line), "{line}");
    }
}

#[test]
fn what_the_examples_without_a_cluster_show_is_what_they_print() {
    let offline: Vec<_> = examples()
        .into_iter()
        .filter(|(command, _)| command.starts_with("validate") || command.starts_with("render"))
        .collect();
    assert_eq!(offline.len(), 2, "{offline:?}");
    for (command, shown) in offline {
        let arguments: Vec<_> = command.split(' ').collect();
        let output = run(&arguments, b"");
        let printed = format!("{}{}", out(&output), err(&output));
        assert_eq!(printed, shown, "kubectl reeve {command}");
    }
}

#[test]
fn the_status_on_the_page_is_that_of_the_tests() {
    let (_, shown) = examples()
        .into_iter()
        .find(|(command, _)| command.starts_with("status"))
        .expect("an example");
    let (_, text) = STATUS.split_once("\n---\n").expect("a snapshot with a head");
    assert_eq!(shown, text);
}
