//! The forms of Kubernetes' names, and what to write instead of one that has another form. The API server refuses
//! the latter too, but only in the objects that are made of a spec, and later.

/// The most characters of a label's value, of the part of a key behind `/`, and of most names.
const LONGEST_LABEL: usize = 63;
/// The most characters of a name with dots.
const LONGEST_SUBDOMAIN: usize = 253;
/// The most characters of a port's name.
const LONGEST_PORT: usize = 15;

/// What is wrong with a DNS label: the name of a container, a volume, a namespace.
pub fn dns_label(text: &str) -> Option<&'static str> {
    let fits = text.len() <= LONGEST_LABEL && is_part(text);
    (!fits).then_some(
        "write at most 63 characters: lower-case letters, digits and `-`, with a letter or digit at both ends",
    )
}

/// What is wrong with a DNS subdomain: the name of most objects.
pub fn dns_subdomain(text: &str) -> Option<&'static str> {
    let fits = text.len() <= LONGEST_SUBDOMAIN && text.split('.').all(is_part);
    (!fits).then_some(
        "write at most 253 characters: lower-case letters, digits, `-` and `.`, with a letter or digit at both ends of \
         each part",
    )
}

/// What is wrong with the key of a label or an annotation.
pub fn qualified_name(text: &str) -> Option<&'static str> {
    let (prefix, name) = text
        .split_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let fits =
        !name.is_empty() && is_word(name) && prefix.is_none_or(|prefix| dns_subdomain(prefix).is_none());
    (!fits).then_some(
        "write NAME or example.org/NAME: the name has at most 63 letters, digits, `-`, `_` and `.`, with a letter or \
         digit at both ends; what is before `/` is lower-case",
    )
}

/// What is wrong with the value of a label.
pub fn label_value(text: &str) -> Option<&'static str> {
    (!is_word(text)).then_some(
        "write at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, or nothing; anything \
         else belongs into an annotation",
    )
}

/// What is wrong with the name of a port.
pub fn port_name(text: &str) -> Option<&'static str> {
    let fits = text.len() <= LONGEST_PORT
        && is_part(text)
        && !text.contains("--")
        && text.chars().any(|c| c.is_ascii_lowercase());
    (!fits).then_some(
        "write at most 15 lower-case letters, digits and single `-`, with at least one letter, and a letter or digit at \
         both ends",
    )
}

/// What is wrong with the name of an environment variable. Kubernetes from 1.34 takes more; older ones do not.
pub fn variable_name(text: &str) -> Option<&'static str> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let fits = text.chars().all(inner)
        && text.starts_with(|c: char| !c.is_ascii_digit())
        && text != "."
        && !text.starts_with("..");
    (!fits).then_some(
        "write a variable's name: letters, digits, `_`, `-` and `.`, without a digit in the first place, other than `.` \
         and without `..` in front",
    )
}

/// Lower-case letters, digits and `-`, of any length.
fn is_part(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// What a label may have as its value.
fn is_word(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || text.len() <= LONGEST_LABEL
            && text.chars().all(inner)
            && text.starts_with(end)
            && text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(check: fn(&str) -> Option<&'static str>, fine: &[&str], wrong: &[&str]) {
        for text in fine {
            assert_eq!(check(text), None, "{text:?}");
        }
        for text in wrong {
            assert!(check(text).is_some(), "{text:?}");
        }
    }

    #[test]
    fn names_have_the_forms_that_the_api_server_takes() {
        let (label, long) = ("a".repeat(63), "a".repeat(64));
        splits(
            dns_label,
            &["a", "a-1", "1", &label],
            &["", "A", "a.b", "-a", "a-", "ü", &long],
        );
        let (name, longer) = ("a".repeat(253), "a".repeat(254));
        splits(
            dns_subdomain,
            &["a", "a.b-c.1", &name],
            &["", "a..b", "a.", "a_b", &longer],
        );
    }

    #[test]
    fn keys_and_values_of_labels_have_theirs() {
        let long = "a".repeat(64);
        splits(
            qualified_name,
            &["a", "A_b.c", "example.org/a"],
            &["", "/a", "example.org/", "Example.org/a", "a/b/c", "a b", &long],
        );
        splits(label_value, &["", "a", "1.0_x"], &["a b", "-a", "a/b", &long]);
    }

    #[test]
    fn ports_and_variables_have_theirs() {
        splits(
            port_name,
            &["http", "a-1", "123456789012345a".get(1..).unwrap_or_default()],
            &["", "80", "a--b", "-a", "HTTP", "1234567890123456", "a.b"],
        );
        splits(
            variable_name,
            &["A", "_a", "a.b-c1", "-p", ".a"],
            &["", "1A", "A B", "A=B", "Ä", ".", "..", "..a", "A\n", "A\0"],
        );
    }
}
