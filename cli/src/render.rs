//! `render`: the children that the operator would apply, without a cluster.

use std::io::Write;

use reeve_operator::engine::{Settings, kind::AgentUpdate};
use serde_json::Value;

use crate::{
    arguments::{OperatorSettings, Render},
    exit::{Error, Outcome},
    files,
    findings::{self, Finding},
    kinds::Checker,
    output::{OutputError, write_documents},
};

/// Stands for the uid of an object that is in no cluster yet.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";
/// Stands for a secret value. Not base64, so that the API server refuses it should somebody apply it.
const REDACTED: &str = "***";

impl From<&OperatorSettings> for Settings {
    fn from(flags: &OperatorSettings) -> Self {
        let default = || concat!("reeve/agents:", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            image_registry: flags
                .image_registry
                .clone()
                .filter(|registry| !registry.is_empty()),
            agents_image: flags.agents_image.clone().unwrap_or_else(default),
            agents_pull_policy: flags.agents_image_pull_policy.clone(),
            agent_update: AgentUpdate::Now,
            checks: flags.checks,
        }
    }
}

/// Prints the children of all objects, or all that is wrong and nothing else: half of the children, piped into
/// `kubectl apply --prune`, would do harm.
pub(crate) fn run(
    arguments: &Render,
    namespace: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Outcome, Error> {
    let settings = Settings::from(&arguments.settings);
    let mut input = files::read(&arguments.files, namespace)?;
    if input.objects.is_empty() && input.findings.is_empty() {
        return Err(Error::NothingToDo);
    }
    let mut checker = Checker::default();
    let (mut children, mut findings) = (Vec::new(), std::mem::take(&mut input.findings));
    for object in &mut input.objects {
        if !object.value["metadata"]["uid"].is_string() {
            object.value["metadata"]["uid"] = Value::from(NO_UID);
        }
        match checker.children(object, &input.sources, &settings) {
            Ok(built) => children.extend(built),
            Err(problems) => findings.extend(
                problems
                    .into_iter()
                    .map(|p| Finding::new(object.origin.clone(), p)),
            ),
        }
    }
    if !findings.is_empty() {
        report(findings, err).map_err(OutputError::from)?;
        return Ok(Outcome::Failed);
    }
    if arguments.redact {
        children.iter_mut().for_each(redact);
    }
    write_documents(out, &children, arguments.output)?;
    findings::left_aside(input.ignored, err).map_err(OutputError::from)?;
    Ok(Outcome::Reached)
}

fn report(mut findings: Vec<Finding>, err: &mut dyn Write) -> std::io::Result<()> {
    findings::sort(&mut findings);
    for finding in &findings {
        writeln!(err, "{finding}")?;
    }
    if findings
        .iter()
        .any(|finding| finding.reason == reeve_api_types::Reason::ReferenceNotFound)
    {
        let hint = "what is referred to is looked for in the files given; add it with a further -f, from a cluster with \
                    `kubectl get secret NAME -o yaml | kubectl reeve render -f FILE -f -`";
        writeln!(err, "hint: {hint}")?;
    }
    Ok(())
}

fn redact(child: &mut Value) {
    if child["kind"] != "Secret" {
        return;
    }
    for field in ["data", "stringData"] {
        for (_, value) in child[field].as_object_mut().into_iter().flatten() {
            *value = Value::from(REDACTED);
        }
    }
}
