//! Whether two paths of mounts get in each other's way. Paths are compared as the kernel will see them, so that no
//! spelling (`//reeve`, `/reeve/../reeve`) gets past.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::Container;
use reeve_api_types::{FieldPath, Problem, Reason};

/// Below these a mount disturbs nobody: programs look for no name of ours there.
const OPEN_BELOW: [&str; 1] = ["/tmp"];

/// The mounts that would hide what the operator mounts at `taken`, or be hidden by it.
pub(in crate::controllers) fn hiding(
    container: &Container,
    taken: &[&str],
    path: &FieldPath,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let wanted = normal(&mount.mount_path);
        let open = |taken: &str| OPEN_BELOW.contains(&taken) && wanted.starts_with(&format!("{taken}/"));
        let Some(taken) = taken
            .iter()
            .find(|taken| collides(&wanted, taken) && !open(taken))
        else {
            continue;
        };
        let how: Cow<'_, str> = if wanted == *taken {
            "there".into()
        } else {
            format!("at {taken}").into()
        };
        let path = path.field("volumeMounts").index(index).field("mountPath");
        let message = format!("the operator mounts something {how}; choose another path");
        problems.push(Problem::new(path, Reason::Conflict, message));
    }
    problems
}

/// A path without empty, `.` and `..` components. `/run` and `/var/run` are one directory in most images.
fn normal(path: &str) -> String {
    let mut components = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    if components.first() == Some(&"run") {
        components.insert(0, "var");
    }
    format!("/{}", components.join("/"))
}

/// Whether a mount at `path` would hide something at `taken`, or be hidden by it, or lie within it.
fn collides(path: &str, taken: &str) -> bool {
    within(path, taken) || within(taken, path)
}

/// Whether `path` is `directory` or below it. Both are [`normal`].
fn within(path: &str, directory: &str) -> bool {
    directory == "/"
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_path_is_the_same_path() {
        for spelling in [
            "/reeve",
            "/reeve/",
            "//reeve",
            "/./reeve",
            "/reeve/../reeve",
            "/../reeve",
            "reeve",
        ] {
            assert_eq!(normal(spelling), "/reeve", "{spelling}");
        }
        assert_eq!(normal("/run/secrets"), "/var/run/secrets");
        assert_eq!((normal("/"), normal("/..")), ("/".to_owned(), "/".to_owned()));
    }

    #[test]
    fn at_below_and_above_collide_and_beside_does_not() {
        for path in ["/reeve", "/reeve/bin", "/"] {
            assert!(collides(path, "/reeve"), "{path}");
        }
        for path in ["/reeves", "/opt/reeve", "/opt"] {
            assert!(!collides(path, "/reeve"), "{path}");
        }
    }
}
