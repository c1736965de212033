//! Fields of upstream's maps, converted as pydantic converts them: a text has to be a text, a number may stand in
//! quotes.

use reeve_api_types::{FieldPath, Reason};

use super::{
    log::{At, Log, Place},
    yaml::{Entry, Node, Yaml},
};

/// A value that was read, and where.
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// The fields of one map. What is not taken is what upstream ignores.
pub(super) struct Fields<'a> {
    pub(super) at: At,
    entries: Vec<&'a Entry>,
}

/// From YAML to a type, or what should have been written.
type Convert<T> = fn(&Yaml) -> Result<T, &'static str>;

impl<'a> Fields<'a> {
    /// The fields of `node` at `at`. Anything but a map is refused.
    pub(super) fn of(log: &mut Log, node: &'a Node, at: At) -> Option<Self> {
        let Yaml::Map(entries) = &node.value else {
            let message = format!("write a map here; this is {}", node.value.kind());
            log.refuse(&at, Reason::InvalidValue, message);
            return None;
        };
        let mut taken = Vec::new();
        for entry in entries {
            if entry.is_text {
                taken.push(entry);
            } else {
                let message = "the key is no text for upstream's reader; put it in quotes";
                log.refuse(&at.entry(entry), Reason::InvalidValue, message);
            }
        }
        Some(Self { at, entries: taken })
    }

    /// Takes the field `name`.
    pub(super) fn take(&mut self, name: &str) -> Option<(&'a Node, At)> {
        let index = self.entries.iter().position(|entry| entry.key == name)?;
        let entry = self.entries.remove(index);
        Some((&entry.value, self.at.entry(entry)))
    }

    /// Where the field `name` is.
    pub(super) fn place(&self, name: &str) -> Option<At> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        Some(self.at.entry(entry))
    }

    /// A field that has to be there.
    pub(super) fn required<T>(&mut self, log: &mut Log, name: &str, convert: Convert<T>) -> Option<Read<T>> {
        if let Some((node, at)) = self.take(name) {
            return converted(log, node, at, convert);
        }
        let message = format!("{name} is missing, and upstream does not start without it; add it");
        log.refuse(&self.at, Reason::Required, message);
        None
    }

    /// A field that may be missing, but not null.
    pub(super) fn defaulted<T>(&mut self, log: &mut Log, name: &str, convert: Convert<T>) -> Option<Read<T>> {
        let (node, at) = self.take(name)?;
        converted(log, node, at, convert)
    }

    /// A field that may be missing or null.
    pub(super) fn optional<T>(&mut self, log: &mut Log, name: &str, convert: Convert<T>) -> Option<Read<T>> {
        let (node, at) = self.take(name)?;
        if matches!(node.value, Yaml::Null) {
            return None;
        }
        converted(log, node, at, convert)
    }

    /// What was not taken.
    pub(super) fn rest(self) -> impl Iterator<Item = (&'a Entry, At)> {
        self.entries
            .into_iter()
            .map(move |entry| (entry, self.at.entry(entry)))
    }
}

fn converted<T>(log: &mut Log, node: &Node, at: At, convert: Convert<T>) -> Option<Read<T>> {
    match convert(&node.value) {
        Ok(value) => Some(Read { value, at }),
        Err(remedy) => {
            let message = match &node.value {
                value @ (Yaml::Null | Yaml::List(_) | Yaml::Map(_)) => {
                    format!("{remedy}; this is {}", value.kind())
                }
                _ => remedy.to_owned(),
            };
            log.refuse(&at, Reason::InvalidValue, message);
            None
        }
    }
}

impl At {
    /// A field of a file.
    pub(super) fn new(file: &str, line: usize, path: FieldPath) -> Self {
        Self {
            place: Place {
                file: file.to_owned(),
                line: Some(line),
            },
            path,
        }
    }

    /// The value under a key of this map.
    pub(super) fn entry(&self, entry: &Entry) -> Self {
        Self::new(&self.place.file, entry.line, self.path.field(&entry.key))
    }

    /// The element `index` of this list.
    pub(super) fn element(&self, index: usize, node: &Node) -> Self {
        Self::new(&self.place.file, node.line, self.path.index(index))
    }
}

impl Read<String> {
    /// The text, unless it is empty: for many fields upstream takes that as nothing.
    pub(super) fn filled(self) -> Option<Self> {
        (!self.value.is_empty()).then_some(self)
    }
}

/// A text.
pub(super) fn text(value: &Yaml) -> Result<String, &'static str> {
    match value {
        Yaml::Text(text) => Ok(text.clone()),
        Yaml::Int(_) | Yaml::Huge | Yaml::Float(_) => {
            Err("upstream wants a text here and reads a number; put it in quotes")
        }
        Yaml::Bool(_) => Err("upstream wants a text here and reads yes or no; put it in quotes"),
        Yaml::Date(_) => Err("upstream wants a text here and reads a date; put it in quotes"),
        _ => Err("write a text"),
    }
}

/// Yes or no, with the words that pydantic takes.
pub(super) fn flag(value: &Yaml) -> Result<bool, &'static str> {
    let number = |number| match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    let flag = match value {
        Yaml::Bool(flag) => Some(*flag),
        Yaml::Int(int) => number(*int),
        Yaml::Float(float) => whole(*float).and_then(number),
        Yaml::Text(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    };
    flag.ok_or("write true or false")
}

/// A whole number.
pub(super) fn int(value: &Yaml) -> Result<i64, &'static str> {
    let int = match value {
        Yaml::Int(int) => Some(*int),
        Yaml::Bool(flag) => Some(i64::from(*flag)),
        Yaml::Float(float) => whole(*float),
        Yaml::Text(text) => text
            .trim()
            .parse()
            .ok()
            .or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    };
    int.ok_or("write a whole number")
}

/// A number.
pub(super) fn float(value: &Yaml) -> Result<f64, &'static str> {
    let float = match value {
        #[expect(clippy::cast_precision_loss, reason = "upstream has a float there, too")]
        Yaml::Int(int) => Some(*int as f64),
        Yaml::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Yaml::Float(float) => Some(*float),
        Yaml::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    float
        .filter(|float| float.is_finite())
        .ok_or("write a finite number")
}

/// A whole number from 0 to 4294967295.
pub(super) fn small(value: &Yaml) -> Result<u32, &'static str> {
    u32::try_from(int(value)?).map_err(|_| "write a whole number that is not below 0")
}

/// A port.
pub(super) fn port(value: &Yaml) -> Result<u16, &'static str> {
    u16::try_from(int(value)?).map_err(|_| "write a port, 1 to 65535")
}

fn whole(float: f64) -> Option<i64> {
    // Beyond 2^53 a float does not know which whole number it is.
    let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within bounds")]
    exact.then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_converted_as_pydantic_does() {
        assert_eq!(flag(&Yaml::Text("Yes".into())), Ok(true));
        assert_eq!(flag(&Yaml::Int(0)), Ok(false));
        assert!(flag(&Yaml::Int(2)).is_err() && flag(&Yaml::Null).is_err());
        assert_eq!(int(&Yaml::Text(" 5 ".into())), Ok(5));
        assert_eq!(int(&Yaml::Float(5.0)), Ok(5));
        assert!(int(&Yaml::Float(5.5)).is_err() && int(&Yaml::Text("five".into())).is_err());
        assert_eq!(float(&Yaml::Int(60)), Ok(60.0));
        assert!(float(&Yaml::Float(f64::NAN)).is_err());
        assert!(text(&Yaml::Int(5)).is_err_and(|remedy| remedy.contains("quotes")));
        assert!(small(&Yaml::Int(-1)).is_err() && port(&Yaml::Int(70_000)).is_err());
    }
}
