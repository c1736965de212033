//! `import`: from the files of an installation without Reeve to its objects. Objects go to standard output, remarks to
//! standard error, and no secret goes there.

mod arguments;
mod object;

use std::io::Write;

use reeve_api_types::{Image, Problem};
use reeve_operator::engine::Settings;
use reeve_site_agent::{AgentVersion, ImportOptions, Imported, Place, Refusal, RemarkKind, Unit, import};
use serde_json::Value;

pub(crate) use arguments::Import;

use self::arguments::SiteAgent;
use crate::{
    arguments::OperatorSettings,
    exit::{Error, Outcome},
    files,
    findings::{self, Finding, Origin},
    kinds::Checker,
    output::{OutputError, WAITING, one_line, write_documents},
};

/// Imports, and prints all objects or all that is wrong.
pub(crate) fn run(
    arguments: &Import,
    namespace: Option<&str>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Outcome, Error> {
    let Import::SiteAgent(arguments) = arguments;
    match site_agent(arguments, namespace)? {
        Ok((imported, objects)) => {
            write_documents(out, &objects, arguments.output)?;
            // What is piped into kubectl is on its way before remarks are read.
            out.flush().map_err(OutputError::from)?;
            remark(&imported, arguments, err).map_err(OutputError::from)?;
            Ok(Outcome::Reached)
        }
        Err(mut problems) => {
            findings::sort(&mut problems);
            for finding in &problems {
                writeln!(err, "{finding}").map_err(OutputError::from)?;
            }
            Ok(Outcome::Failed)
        }
    }
}

type Made = Result<(Imported, Vec<Value>), Vec<Finding>>;

fn site_agent(arguments: &SiteAgent, namespace: Option<&str>) -> Result<Made, Error> {
    let mut problems = Vec::new();
    let (file, text) = match files::read_text(&arguments.file) {
        Ok(read) => read,
        Err(finding) => return Ok(Err(vec![finding])),
    };
    let mut units = Vec::new();
    for path in &arguments.units {
        match files::read_units(path) {
            Ok(read) => units.extend(read.into_iter().map(|(file, text)| Unit { file, text })),
            Err(finding) => problems.push(finding),
        }
    }
    let options = ImportOptions {
        file: &file,
        name: &arguments.name,
        version: version(arguments.image.as_ref())?,
        units: &units,
    };
    let imported = match import(&text, &options) {
        Ok(imported) if problems.is_empty() => imported,
        Ok(_) => return Ok(Err(problems)),
        Err(refusals) => {
            problems.extend(refusals.into_iter().map(of_refusal));
            return Ok(Err(problems));
        }
    };
    let objects = object::objects(&imported, &arguments.name, namespace, arguments.image.as_ref());
    let problems = check(&imported, &objects, namespace)?;
    if problems.is_empty() {
        Ok(Ok((imported, objects)))
    } else {
        Ok(Err(problems))
    }
}

/// The version of the agent in `image`.
fn version(image: Option<&Image>) -> Result<AgentVersion, Error> {
    let tag = image.and_then(|image| image.tag.as_deref());
    AgentVersion::of_image(None, tag).map_err(|error| Error::Usage(error.to_string()))
}

/// What `validate` would say of the objects, at the places in the files that they came from. What comes from the command
/// line is the command line's mistake.
fn check(imported: &Imported, objects: &[Value], namespace: Option<&str>) -> Result<Vec<Finding>, Error> {
    let input = files::made(objects, namespace.unwrap_or("default"));
    if let Some(finding) = input.findings.first() {
        return Err(Error::Usage(format!("--name: {}", finding.message)));
    }
    let settings = Settings::from(&OperatorSettings::default());
    let mut checker = Checker::default();
    let mut problems = Vec::new();
    for object in &input.objects {
        let found = checker.children(object, &input.sources, &settings);
        problems.extend(found.err().unwrap_or_default());
    }
    if let Some(problem) = problems
        .iter()
        .find(|problem| problem.path.as_str().starts_with("spec.image"))
    {
        return Err(Error::Usage(format!("--image: {}", problem.message)));
    }
    let finding = |problem: Problem| {
        let at = imported.origin(&problem.path).clone();
        let problem = Problem {
            path: at.path,
            // The field of the file is not always the one meant.
            message: format!("{}: {}", problem.path, problem.message),
            ..problem
        };
        Finding::new(origin(&at.place), problem)
    };
    Ok(problems.into_iter().map(finding).collect())
}

fn of_refusal(refusal: Refusal) -> Finding {
    Finding::new(origin(&refusal.place), refusal.problem)
}

fn origin(place: &Place) -> Origin {
    match place.line {
        Some(line) => Origin::new(&place.file, line),
        None => Origin::of_file(&place.file),
    }
}

/// A line for each remark, and what it all came to.
fn remark(imported: &Imported, arguments: &SiteAgent, err: &mut dyn Write) -> std::io::Result<()> {
    for remark in &imported.remarks {
        let kind = remark.kind.slug();
        match remark.kind {
            RemarkKind::Check => write!(err, "{WAITING}{kind}{WAITING:#}: ")?,
            _ => write!(err, "{kind}: ")?,
        }
        let place = origin(&remark.at.place).place();
        let (place, path) = (one_line(&place), one_line(remark.at.path.as_str()));
        let separator = if path.is_empty() { "" } else { ": " };
        writeln!(err, "{place}: {path}{separator}{}", one_line(&remark.message))?;
    }
    let count = |kind: RemarkKind| {
        imported
            .remarks
            .iter()
            .filter(|remark| remark.kind == kind)
            .count()
    };
    let kinds = [
        RemarkKind::Moved,
        RemarkKind::Dropped,
        RemarkKind::Differs,
        RemarkKind::Check,
    ];
    let counts: Vec<_> = kinds
        .into_iter()
        .filter(|kind| count(*kind) > 0)
        .map(|kind| format!("{} {}", count(kind), kind.slug()))
        .collect();
    let remarks = if counts.is_empty() {
        "nothing to remark".to_owned()
    } else {
        counts.join(", ")
    };
    let secrets = match imported.secrets.len() {
        1 => "1 Secret".to_owned(),
        count => format!("{count} Secrets"),
    };
    writeln!(
        err,
        "SiteAgent {} and {secrets}: {remarks}",
        one_line(&arguments.name)
    )
}
