//! Files that keys of Secrets are mounted as. One that is not there is told as what the spec names, since its path says
//! nothing to people; it may come back, so it is an error and no failure.

use std::{fs, io};

use reeve_rollout::step::Mount;

use crate::answer::{Outcome, Problem};

/// The content of a mounted file.
pub(crate) fn read(path: &str) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| missing(path, &error))
}

/// The content of a mounted file that is text.
pub(crate) fn text(path: &str) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| missing(path, &error))
}

fn missing(path: &str, error: &io::Error) -> Problem {
    let what = Mount::described(path);
    let message = if error.kind() == io::ErrorKind::NotFound {
        format!("{what} is not there: create it, or name another one in the spec")
    } else {
        format!("{what} cannot be read: {error}")
    };
    Problem::errored("MissingSecret", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_told_as_what_the_spec_names() {
        for (path, what) in [
            (
                "/etc/reeve/mounts/secrets/deployment-ssh/id_ed25519",
                "key id_ed25519 of Secret deployment-ssh is",
            ),
            (
                "/etc/reeve/mounts/configmaps/pve/ca.crt",
                "key ca.crt of ConfigMap pve is",
            ),
            ("/nowhere/at/all", "mounted file /nowhere/at/all is"),
        ] {
            let problem = text(path).expect_err("nothing is mounted here");
            assert!(problem.message.starts_with(what), "{}", problem.message);
            assert_eq!(problem.reason, "MissingSecret");
        }
    }
}
