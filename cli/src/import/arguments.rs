//! The command line of `import`.

// The comments are the help text, where backticks would only be noise.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reeve_api_types::Image;

use crate::arguments::Document;

/// What is imported.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    SiteAgent(SiteAgent),
}

/// A SiteAgent and its Secrets from the Waldur site agent's configuration file. Needs no cluster.
///
/// Standard output gets the Secrets and then the object, for kubectl apply -f -. It holds the tokens and passwords of the
/// file in plain text. Standard error gets a remark for each thing that was moved to a Secret, that is left out, or that
/// differs, and never a secret. When anything is wrong, it gets all problems with their lines, and standard output nothing.
#[derive(Debug, Args)]
pub(crate) struct SiteAgent {
    /// The configuration file; `-` is standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Units of systemd that run the agent (X.service), their drop-ins (X.service.d/Y.conf), or folders of drop-ins: periods,
    /// SENTRY_ENVIRONMENT, memory and CPU limits. Can be repeated
    #[arg(short, long = "unit", value_name = "UNIT", num_args = 1..)]
    pub(crate) units: Vec<PathBuf>,
    /// Name of the object; names of Secrets begin with it
    #[arg(long, value_name = "NAME", default_value = "site")]
    pub(crate) name: String,
    /// Image with the agent. What its tag begins with is the version that the configuration is for. Default: upstream's, in
    /// the newest stable version that Reeve was tested with
    #[arg(long, value_name = "IMAGE", value_parser = image)]
    pub(crate) image: Option<Image>,
    /// YAML documents, or a JSON List
    #[arg(short, long, value_enum, default_value = "yaml")]
    pub(crate) output: Document,
}

/// `REPOSITORY[:TAG][@DIGEST]`. A colon before the last slash is a registry's port.
fn image(text: &str) -> Result<Image, &'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.to_owned())),
        None => (text, None),
    };
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
        _ => (rest, None),
    };
    if repository.is_empty() || (tag.is_none() && digest.is_none()) {
        return Err("write REPOSITORY:TAG, such as registry.example.org/site-agent:1.0.7-slurm24");
    }
    Ok(Image {
        repository: repository.to_owned(),
        tag,
        digest,
        pull_policy: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_taken_apart() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let parts = |text: &str| image(text).map(|image| (image.repository, image.tag, image.digest));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("a/b:1.0.7"), Ok(("a/b".into(), some("1.0.7"), None)));
        assert_eq!(parts("h:5000/b:1"), Ok(("h:5000/b".into(), some("1"), None)));
        assert_eq!(
            parts(&format!("h:5000/b@{digest}")),
            Ok(("h:5000/b".into(), None, Some(digest)))
        );
        for text in ["", "a/b", "h:5000/b", ":1"] {
            assert!(parts(text).is_err(), "{text}");
        }
    }
}
