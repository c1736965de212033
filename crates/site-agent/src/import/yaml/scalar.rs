//! What a plain scalar means to `PyYAML` (`yaml/resolver.py`, `yaml/constructor.py`): its own patterns, in its own order.

use std::sync::LazyLock;

use regex::Regex;

use super::Yaml;

/// A scalar that upstream's reader refuses, or that has no place in Kubernetes' JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarError {
    /// `=`, which `PyYAML` resolves to a type that it cannot construct.
    Equals,
    /// Does not fit its tag.
    Tag,
}

impl ScalarError {
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Equals => "upstream's reader stumbles over a bare =; put it in quotes",
            Self::Tag => "the value does not fit its tag; remove the tag",
        }
    }
}

struct Patterns {
    boolean: Regex,
    float: Regex,
    int: Regex,
    date: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let pattern = |text: &str| Regex::new(text).expect("the pattern is fixed, and a test uses it");
    Patterns {
        boolean: pattern("^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
        float: pattern(
            r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        ),
        int: pattern(
            r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$",
        ),
        date: pattern(
            r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)$",
        ),
    }
});

/// A plain scalar.
pub(super) fn plain(text: &str) -> Result<Yaml, ScalarError> {
    if PATTERNS.boolean.is_match(text) {
        return bool(text);
    }
    if let Some(number) = float(text) {
        return Ok(Yaml::Float(number));
    }
    if let Some(number) = int(text) {
        return Ok(number);
    }
    if ["~", "null", "Null", "NULL", ""].contains(&text) {
        return Ok(Yaml::Null);
    }
    if PATTERNS.date.is_match(text) {
        return Ok(Yaml::Date(text.to_owned()));
    }
    if text == "=" {
        return Err(ScalarError::Equals);
    }
    Ok(Yaml::Text(text.to_owned()))
}

/// A scalar with a tag of YAML's own: `!!str`, `!!int` and so on.
pub(super) fn tagged(text: &str, tag: &str) -> Result<Yaml, ScalarError> {
    match tag {
        "str" => Ok(Yaml::Text(text.to_owned())),
        "null" => Ok(Yaml::Null),
        "bool" => bool(text),
        "int" => int(text).ok_or(ScalarError::Tag),
        "float" => match (float(text), text.parse()) {
            (Some(number), _) | (None, Ok(number)) => Ok(Yaml::Float(number)),
            _ => Err(ScalarError::Tag),
        },
        _ => Err(ScalarError::Tag),
    }
}

fn bool(text: &str) -> Result<Yaml, ScalarError> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(Yaml::Bool(true)),
        "no" | "false" | "off" => Ok(Yaml::Bool(false)),
        _ => Err(ScalarError::Tag),
    }
}

fn float(text: &str) -> Option<f64> {
    if !PATTERNS.float.is_match(text) {
        return None;
    }
    let text = text.replace('_', "").to_ascii_lowercase();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(&text)),
    };
    let value = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ => digits.split(':').try_fold(0.0, |sum, part| {
            let part: f64 = part.parse().ok()?;
            Some(sum * 60.0 + part)
        })?,
    };
    Some(sign * value)
}

/// A whole number, however large.
fn int(text: &str) -> Option<Yaml> {
    if !PATTERNS.int.is_match(text) {
        return None;
    }
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let parsed = if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        i128::from_str_radix(hexadecimal, 16).ok()
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from_str_radix(digits, 8).ok()
    } else {
        digits.split(':').try_fold(0_i128, |sum, part| {
            sum.checked_mul(60)?.checked_add(part.parse::<i128>().ok()?)
        })
    };
    let value = parsed.and_then(|value| i64::try_from(sign * value).ok());
    Some(value.map_or(Yaml::Huge, Yaml::Int))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `PyYAML` 6.0.1 makes of each.
    #[test]
    fn scalars_mean_what_they_mean_to_upstream() {
        for text in [
            "y", "N", "1e3", "0o17", "08", "1.2.3", "12:99", "nULL", "2026-1-1", "tRue", ".", "-", "0x",
        ] {
            assert!(
                matches!(plain(text), Ok(Yaml::Text(read)) if read == text),
                "{text}"
            );
        }
        for (text, number) in [
            ("0", 0),
            ("-7", -7),
            ("+7", 7),
            ("1_000", 1000),
            ("0644", 0o644),
            ("0x1F", 31),
            ("-0b11", -3),
            ("12:30:00", 45_000),
            ("9223372036854775807", i64::MAX),
        ] {
            assert!(
                matches!(plain(text), Ok(Yaml::Int(read)) if read == number),
                "{text}"
            );
        }
        for (text, number) in [
            ("1.5", 1.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("1.0e+3", 1000.0),
            ("-1_0.5", -10.5),
            ("1:30.5", 90.5),
        ] {
            let read = plain(text);
            assert!(
                matches!(read, Ok(Yaml::Float(read)) if (read - number).abs() < 1e-9),
                "{text}"
            );
        }
        for (text, truth) in [("yes", true), ("On", true), ("off", false), ("FALSE", false)] {
            assert!(
                matches!(plain(text), Ok(Yaml::Bool(read)) if read == truth),
                "{text}"
            );
        }
        assert!(matches!(plain("~"), Ok(Yaml::Null)) && matches!(plain(""), Ok(Yaml::Null)));
        assert!(matches!(plain(".inf"), Ok(Yaml::Float(read)) if read.is_infinite()));
        for text in ["2026-01-31", "2026-1-3 1:02:03", "2026-01-03T01:02:03.5Z"] {
            assert!(matches!(plain(text), Ok(Yaml::Date(_))), "{text}");
        }
    }

    #[test]
    fn what_upstream_cannot_read_or_json_cannot_hold_is_refused() {
        assert!(matches!(plain("9223372036854775808"), Ok(Yaml::Huge)));
        assert!(matches!(plain(&"9".repeat(99)), Ok(Yaml::Huge)));
        assert_eq!(plain("=").err(), Some(ScalarError::Equals));
        assert_eq!(tagged("x", "int").err(), Some(ScalarError::Tag));
        assert!(matches!(tagged("5", "str"), Ok(Yaml::Text(text)) if text == "5"));
        assert!(matches!(tagged("5", "float"), Ok(Yaml::Float(_))));
    }
}
