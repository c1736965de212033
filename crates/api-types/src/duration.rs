//! Durations as Kubernetes users write them: `90s`, `5m`, `1h30m`.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in Go's notation with whole numbers and the units `ms`, `s`, `m`, `h`: `30s`, `1h30m`.
/// Written back as it was read, so that nothing shows as changed.
#[derive(Clone, Debug)]
pub struct Duration {
    text: String,
    value: std::time::Duration,
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write whole numbers with the units h, m, s or ms, such as 90s or 1h30m")]
pub struct DurationError(String);

impl Duration {
    /// The schema's pattern for the text.
    pub const PATTERN: &'static str = r"^([0-9]{1,9}(ms|s|m|h))+$";

    /// So many seconds: `90s`.
    pub fn from_secs(seconds: u32) -> Self {
        Self {
            text: format!("{seconds}s"),
            value: std::time::Duration::from_secs(seconds.into()),
        }
    }

    /// So many minutes: `5m`.
    pub fn from_mins(minutes: u32) -> Self {
        Self {
            text: format!("{minutes}m"),
            value: std::time::Duration::from_secs(u64::from(minutes) * 60),
        }
    }

    /// So many hours: `24h`.
    pub fn from_hours(hours: u32) -> Self {
        Self {
            text: format!("{hours}h"),
            value: std::time::Duration::from_secs(u64::from(hours) * 3600),
        }
    }

    /// The length of time.
    pub const fn get(&self) -> std::time::Duration {
        self.value
    }
}

impl PartialEq for Duration {
    /// Equal when as long: `60s` is `1m`.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Duration {}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DurationError(text.to_owned());
        let mut rest = text;
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u64 = rest[..digits].parse().map_err(|_| error())?;
            rest = &rest[digits..];
            let (unit, length) = match rest.as_bytes() {
                [b'm', b's', ..] => (1, 2),
                [b's', ..] => (1_000, 1),
                [b'm', ..] => (60_000, 1),
                [b'h', ..] => (3_600_000, 1),
                _ => return Err(error()),
            };
            rest = &rest[length..];
            millis = number
                .checked_mul(unit)
                .and_then(|n| millis.checked_add(n))
                .ok_or_else(error)?;
        }
        if text.is_empty() {
            return Err(error());
        }
        Ok(Self {
            text: text.to_owned(),
            value: std::time::Duration::from_millis(millis),
        })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": Self::PATTERN, "maxLength": 32})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_notation_is_read() {
        for (text, seconds) in [
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5400),
            ("0s", 0),
            ("1500ms", 1),
        ] {
            assert_eq!(text.parse::<Duration>().expect(text).get().as_secs(), seconds);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_remedy() {
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "1.5h",
            "5 m",
            "99999999999999999999h",
            "18446744073709551615h",
            "5é",
        ] {
            let error = text.parse::<Duration>().expect_err(text);
            assert!(error.to_string().contains("such as 90s"), "{error}");
        }
    }
}
