//! `validate`: every problem of the objects in files, without a cluster.

use std::io::Write;

use reeve_api_types::Reason;
use reeve_operator::engine::Settings;
use serde::Serialize;

use crate::{
    arguments::{OperatorSettings, Validate},
    exit::{Error, Outcome},
    files,
    findings::{self, Finding},
    kinds::Checker,
    output::{BAD, GOOD, OutputError, write_document},
};

/// What was found.
#[derive(Serialize)]
struct Report {
    /// How many objects of ours were looked at.
    checked: usize,
    /// How many objects are of no concern.
    ignored: usize,
    /// What is wrong.
    problems: Vec<Finding>,
    /// References to what the files do not have.
    unresolved: Vec<Finding>,
    /// What is no mistake but may be one.
    remarks: Vec<Finding>,
}

/// Checks all objects and reports.
pub(crate) fn run(
    arguments: &Validate,
    namespace: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Outcome, Error> {
    let report = check(arguments, namespace)?;
    match arguments.output.document() {
        None => print(&report, out, err).map_err(OutputError::from)?,
        Some(format) => {
            let document = serde_json::to_value(&report).map_err(OutputError::from)?;
            write_document(out, &document, format)?;
        }
    }
    if !report.problems.is_empty() {
        return Ok(Outcome::Failed);
    }
    if report.checked == 0 {
        Err(Error::NothingToDo)
    } else {
        Ok(Outcome::Reached)
    }
}

fn check(arguments: &Validate, namespace: &str) -> Result<Report, Error> {
    let settings = Settings::from(&OperatorSettings::default());
    let mut input = files::read(&arguments.files, namespace)?;
    let mut checker = Checker::default();
    let mut problems = std::mem::take(&mut input.findings);
    let mut remarks = Vec::new();
    for object in &input.objects {
        let of_object = |problem| Finding::new(object.origin.clone(), problem);
        remarks.extend(checker.remarks(object).into_iter().map(of_object));
        let found = checker
            .children(object, &input.sources, &settings)
            .err()
            .unwrap_or_default();
        problems.extend(found.into_iter().map(of_object));
    }
    let conflicts = checker.conflicts(&input.objects).into_iter();
    problems.extend(conflicts.map(|(object, problem)| Finding::new(object.origin.clone(), problem)));
    findings::sort(&mut problems);
    findings::sort(&mut remarks);
    let elsewhere =
        |finding: &Finding| finding.reason == Reason::ReferenceNotFound && !arguments.require_references;
    let (unresolved, problems) = problems.into_iter().partition(elsewhere);
    Ok(Report {
        checked: input.objects.len(),
        ignored: input.ignored,
        problems,
        unresolved,
        remarks,
    })
}

/// Problems go to standard output, the summary to standard error.
fn print(report: &Report, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<()> {
    for problem in &report.problems {
        writeln!(out, "{problem}")?;
    }
    out.flush()?;
    for reference in &report.unresolved {
        writeln!(
            err,
            "note: {}: {}: not in the files, so not looked into",
            reference.origin, reference.path
        )?;
    }
    for remark in &report.remarks {
        writeln!(err, "note: {remark}")?;
    }
    findings::left_aside(report.ignored, err)?;
    let checked = findings::counted(report.checked, "object");
    match report.problems.len() {
        0 if report.checked == 0 => Ok(()),
        0 => writeln!(err, "{checked} checked: {GOOD}no problems{GOOD:#}"),
        n => writeln!(
            err,
            "{checked} checked: {BAD}{}{BAD:#}",
            findings::counted(n, "problem")
        ),
    }
}
