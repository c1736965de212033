//! `plan`: what a run of the rollouts in files would do, without a cluster; and how their specs are checked.

pub(crate) mod arguments;

use std::io::Write;

use reeve_api_types::{Problem, Reason};
use reeve_crds::DeploymentRollout;
use reeve_operator::{
    controllers::deployment_rollout::check,
    engine::{Settings, dereference::of_sources},
};
use reeve_rollout::{Plan, references, validate_alone};
use serde_json::Value;

use crate::{
    arguments::{Document, Files, OperatorSettings},
    exit::{Error, Outcome},
    files::{self, Object, Sources},
    findings::{self, Finding},
    kinds::{self, Checker},
    output::{OutputError, one_line, write_documents},
    plan::arguments::PlanFormat,
};

/// Prints the plan of each rollout, or all that is wrong.
pub(crate) fn run(
    arguments: &arguments::Plan,
    namespace: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Outcome, Error> {
    let settings = Settings::from(&OperatorSettings::default());
    let files = Files {
        files: arguments.files.clone(),
        recursive: arguments.recursive,
    };
    let mut input = files::read(&files, namespace)?;
    let mut problems = std::mem::take(&mut input.findings);
    let mut checker = Checker::default();
    let is_rollout = |object: &&Object| object.kind.resource().kind == "DeploymentRollout";
    let mut plans = Vec::new();
    for object in input.objects.iter().filter(is_rollout) {
        let found = checker
            .children(object, &input.sources, &settings)
            .err()
            .unwrap_or_default();
        let elsewhere = |problem: &Problem| problem.reason == Reason::ReferenceNotFound;
        let found: Vec<_> = found.into_iter().filter(|problem| !elsewhere(problem)).collect();
        if found.is_empty() {
            match plan(&checker.defaulted(object)) {
                Ok(plan) => plans.push(plan),
                Err(further) => problems.extend(further.into_iter().map(|problem| of(object, problem))),
            }
        }
        problems.extend(found.into_iter().map(|problem| of(object, problem)));
    }
    if !problems.is_empty() {
        findings::sort(&mut problems);
        for problem in &problems {
            writeln!(err, "{problem}").map_err(OutputError::from)?;
        }
        return Ok(Outcome::Failed);
    }
    if plans.is_empty() {
        return Err(Error::NothingToDo);
    }
    print(&plans, arguments.output, out)?;
    Ok(Outcome::Reached)
}

/// Prints the plan of an object as the cluster has it, or all that is wrong with it. What it refers to is not looked at.
pub(crate) fn of_object(
    object: &Value,
    label: &str,
    format: PlanFormat,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Outcome, Error> {
    match plan(object) {
        Ok(plan) => print(&[plan], format, out)?,
        Err(problems) => {
            for Problem { path, message, .. } in problems {
                let line = one_line(&format!("{path}: {message}"));
                writeln!(err, "{label}: {line}").map_err(OutputError::from)?;
            }
            return Ok(Outcome::Failed);
        }
    }
    Ok(Outcome::Reached)
}

fn of(object: &Object, problem: Problem) -> Finding {
    Finding::new(object.origin.clone(), problem)
}

fn print(plans: &[Plan], format: PlanFormat, out: &mut dyn Write) -> Result<(), OutputError> {
    let texts = |text: fn(&Plan) -> String| plans.iter().map(text).collect::<Vec<_>>().join("\n");
    let documents = || {
        plans
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<Vec<_>, _>>()
    };
    match format {
        PlanFormat::Table => out.write_all(texts(Plan::text).as_bytes())?,
        PlanFormat::Mermaid => out.write_all(texts(Plan::mermaid).as_bytes())?,
        PlanFormat::Yaml => write_documents(out, &documents()?, Document::Yaml)?,
        PlanFormat::Json => write_documents(out, &documents()?, Document::Json)?,
    }
    Ok(())
}

/// The plan of a rollout with its defaults filled in.
fn plan(object: &Value) -> Result<Plan, Vec<Problem>> {
    let object = typed(object)?;
    let valid = validate_alone(&object.spec.rollout, &kinds::whole())?;
    let metadata = object.metadata;
    let (namespace, name) = (
        metadata.namespace.unwrap_or_default(),
        metadata.name.unwrap_or_default(),
    );
    Ok(Plan::new(&valid, &namespace, &name, Vec::new()))
}

/// Everything that is wrong with a rollout with its defaults filled in; what it refers to is looked up in `sources`.
pub(crate) fn checked(object: &Value, sources: &Sources) -> Result<(), Vec<Problem>> {
    let mut object = typed(object)?;
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    name_own_namespace(&mut object, &namespace);
    let needed = of_sources(
        references(&object.spec.rollout, &kinds::whole())
            .into_iter()
            .map(|used| used.source),
    );
    let content = sources.resolve(&namespace, &needed);
    check(&object.spec, Some(&content), &kinds::whole()).map(|_| ())
}

/// Writes the rollout's own namespace where an entry leaves it out, so that one field is found set twice however it is
/// written.
fn name_own_namespace(object: &mut DeploymentRollout, namespace: &str) {
    let targets = object.spec.rollout.targets.iter_mut();
    let sets = targets.filter_map(|target| target.kubernetes.as_mut());
    for field in sets.flat_map(|kubernetes| &mut kubernetes.set) {
        field.namespace.get_or_insert_with(|| namespace.to_owned());
    }
}

/// What is no mistake in a rollout but goes unprotected.
pub(crate) fn remarks(object: &Value) -> Vec<Problem> {
    let object = typed(object).ok();
    let valid = object.and_then(|object| validate_alone(&object.spec.rollout, &kinds::whole()).ok());
    let insecure = valid
        .map(|valid| valid.insecure(&kinds::whole()))
        .unwrap_or_default();
    let remark =
        |insecure: reeve_rollout::Insecure| Problem::new(insecure.path, Reason::NoEffect, insecure.message);
    insecure.into_iter().map(remark).collect()
}

fn typed(object: &Value) -> Result<DeploymentRollout, Vec<Problem>> {
    serde_json::from_value(object.clone()).map_err(|error| vec![kinds::unreadable(&error)])
}
