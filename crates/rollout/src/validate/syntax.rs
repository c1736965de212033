//! The forms of texts that are no Kubernetes names: revisions, paths, quantities, templates, pointers.

use std::net::IpAddr;

use crate::schema::{FILE_SENTENCE, HOST_SENTENCE, PATH_SENTENCE};

/// What is wrong with a branch, tag or commit. The rules are those of git-check-ref-format(1), and no option of git's.
pub(super) fn revision(text: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/+@-".contains(c);
    let parts = || text.split('/');
    let fits = (1..=128).contains(&text.len())
        && text.chars().all(plain)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !text.contains("..")
        && text != "@"
        && !text.ends_with('.')
        && parts()
            .all(|part| !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none());
    (!fits).then_some("write a branch, a tag or a commit as git has them, at most 128 characters")
}

/// What is wrong with a host name or an address. Only addresses have colons.
pub(super) fn host(text: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = !text.is_empty() && text.chars().all(plain) && !text.starts_with('-');
    (!is_name && text.parse::<IpAddr>().is_err()).then_some(HOST_SENTENCE)
}

/// A host name or an address as all spellings of it have it.
pub(super) fn same_host(text: &str) -> String {
    let name = || text.trim_end_matches('.').to_ascii_lowercase();
    text.parse::<IpAddr>()
        .map_or_else(|_| name(), |address| address.to_string())
}

/// An absolute path as all spellings of it have it.
pub(super) fn same_path(text: &str) -> String {
    let parts = text.split('/').filter(|part| !part.is_empty());
    parts.fold(String::new(), |path, part| path + "/" + part)
}

/// What is wrong with the name of a variable for a command on a host: shells there read it too, and bash takes none of
/// those that it keeps itself.
pub(super) fn shell_variable(text: &str) -> Option<&'static str> {
    const OF_SHELLS: [&str; 7] = [
        "_",
        "BASHOPTS",
        "BASH_VERSINFO",
        "EUID",
        "PPID",
        "SHELLOPTS",
        "UID",
    ];
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = text.chars().all(inner) && text.starts_with(|c: char| !c.is_ascii_digit());
    if !fits {
        return Some(
            "write a variable's name that a shell takes: letters, digits and `_`, without a digit in the first place",
        );
    }
    OF_SHELLS
        .contains(&text)
        .then_some("the shell on the host sets this variable itself: take another name")
}

/// What is wrong with the absolute path of a file.
pub(super) fn file(text: &str) -> Option<&'static str> {
    absolute(text).or_else(|| text.ends_with('/').then_some(PATH_SENTENCE))
}

/// What is wrong with an absolute path.
pub(super) fn absolute(text: &str) -> Option<&'static str> {
    let fits = text.len() > 1
        && text.starts_with('/')
        && !text.chars().any(char::is_control)
        && !text.split('/').any(|part| part == ".." || part == ".");
    (!fits).then_some("write an absolute path without `.` and `..`, such as /srv/homelab")
}

/// What is wrong with the path of a Compose file within a folder. Compose takes a list of them, separated by colons.
pub(super) fn relative(text: &str) -> Option<&'static str> {
    let fits = !text.is_empty()
        && !text.starts_with(['/', '-'])
        && !text.chars().any(char::is_control)
        && !text.contains(':')
        && !text.split('/').any(|part| part == "..");
    (!fits).then_some(FILE_SENTENCE)
}

/// Bytes of a quantity such as `10Gi`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || (part.is_empty() && digits.contains('.'))
    {
        return None;
    }
    let scale = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let number: u128 = format!("{whole}{part}").parse().ok()?;
    u64::try_from(number.checked_mul(unit.into())? / scale).ok()
}

/// The placeholders of a text, without their braces: single words. Anything else between braces is not ours, such as
/// the `{{.Names}}` of Docker's formats.
pub(super) fn placeholders(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            break;
        };
        found.extend(Some(name).filter(|name| is_word(name.trim())));
        rest = behind;
    }
    found
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic())
}

/// What is wrong with a pointer to a field of an object.
pub(super) fn pointer(text: &str) -> Option<&'static str> {
    let Some(inner) = text.strip_prefix('/') else {
        return Some("write a JSON Pointer: it begins with /, such as /spec/image/tag");
    };
    let part = |part: &str| {
        if let Some(selector) = part.strip_prefix('[') {
            let pair = selector.strip_suffix(']').and_then(|pair| pair.split_once('='));
            pair.is_some_and(|(field, value)| !field.is_empty() && !value.is_empty())
        } else {
            let escapes = part.split('~').skip(1);
            !part.is_empty() && part != "-" && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
        }
    };
    let fits = inner.split('/').all(part);
    (!fits).then_some(
        "write the parts of the path separated by /; an element of a list by its place or as [name=x], and / and ~ in \
         a key as ~1 and ~0",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(rule: fn(&str) -> Option<&'static str>, fine: &[&str], wrong: &[&str]) {
        for text in fine {
            assert_eq!(rule(text), None, "{text:?}");
        }
        for text in wrong {
            assert!(rule(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn revisions_are_those_that_git_takes() {
        let long = "a".repeat(129);
        splits(
            revision,
            &["main", "feature/x-1", "v1.2.3", "4f2a9c1", "_x", "a@b"],
            &[
                "",
                "-x",
                "--upload-pack=x",
                "a..b",
                "a//b",
                "/a",
                "a/",
                "a.lock",
                "a.",
                "a b",
                "a~1",
                "a@{1}",
                &long,
            ],
        );
    }

    #[test]
    fn paths_stay_where_they_are_said_to_be() {
        splits(
            absolute,
            &["/srv/a", "/a b/ü"],
            &["", "/", "a", "/a/../b", "/./a", "/a\nb"],
        );
        splits(
            relative,
            &["a.yml", "a/b.yml", "./a"],
            &["", "/a", "../a", "-f", "a\tb", "a.yml:/etc/x.yml"],
        );
        splits(file, &["/srv/app/.env"], &["/srv/app/", "srv/app", "/srv/../a"]);
    }

    #[test]
    fn hosts_have_no_port_and_one_spelling() {
        splits(
            host,
            &["h", "h.example.org", "192.0.2.1", "2001:db8::1", "::1"],
            &["", "-h", "h:22", "192.0.2.1:22", "u@h", "a b"],
        );
        for (one, other) in [
            ("H1.example.org.", "h1.example.org"),
            ("2001:DB8:0::1", "2001:db8::1"),
        ] {
            assert_eq!(same_host(one), same_host(other), "{one}");
        }
        assert_eq!(same_path("/srv//app/"), same_path("/srv/app"));
        assert_ne!(same_path("/srv/app"), same_path("/srv/App"));
    }

    #[test]
    fn variables_on_hosts_are_those_that_shells_take() {
        splits(
            shell_variable,
            &["A", "_a1", "PATH"],
            &[
                "",
                "1A",
                "a.b",
                "a-b",
                "-p",
                "UID",
                "EUID",
                "PPID",
                "BASHOPTS",
                "SHELLOPTS",
            ],
        );
    }

    #[test]
    fn pointers_may_select_by_a_field() {
        splits(
            pointer,
            &[
                "/spec/image",
                "/spec/template/spec/containers/[name=app]/image",
                "/a/0/b",
                "/a~1b/c~0",
            ],
            &[
                "",
                "a",
                "/",
                "/a//b",
                "/a/-",
                "/a/[name]",
                "/a/[=x]",
                "/a~2",
                "/a~",
            ],
        );
    }

    #[test]
    fn quantities_are_bytes() {
        for (text, size) in [
            ("10Gi", Some(10 << 30)),
            ("1.5Ki", Some(1536)),
            ("2G", Some(2_000_000_000)),
            ("7", Some(7)),
            ("Gi", None),
            ("1.Gi", None),
            ("-1", None),
            ("99999999999Ti", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }

    #[test]
    fn placeholders_are_found_wherever_they_are() {
        assert_eq!(
            placeholders("a{{revision}}b{{ commit }}{{.Names}}{{json .}}{{"),
            ["revision", " commit "]
        );
        assert!(placeholders("{}").is_empty());
    }
}
