//! Writing: documents as YAML or JSON, text that cannot play tricks on a terminal, colours where they are wanted.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::arguments::Document;

/// Why nothing could be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Standard output.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
    /// A value that has no YAML.
    #[error("cannot write the output as YAML: {0}")]
    Yaml(#[from] serde_saphyr::SerializeError),
    /// A value that has no JSON.
    #[error("cannot write the output as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl OutputError {
    /// Whether the reader of our output has closed it.
    pub(crate) fn reader_left(&self) -> bool {
        let kind = match self {
            Self::Write(error) => Some(error.kind()),
            Self::Json(error) => error.io_error_kind(),
            Self::Yaml(_) => None,
        };
        kind == Some(io::ErrorKind::BrokenPipe)
    }
}

/// Green: as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Yellow: on its way, or waiting for a person.
pub(crate) const WAITING: Style = AnsiColor::Yellow.on_default();
/// Red: wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Headings.
pub(crate) const HEADING: Style = Style::new().bold();

/// One document.
pub(crate) fn write_document(
    out: &mut dyn Write,
    document: &Value,
    format: Document,
) -> Result<(), OutputError> {
    match format {
        Document::Yaml => out.write_all(yaml(document)?.as_bytes())?,
        Document::Json => {
            serde_json::to_writer_pretty(&mut *out, document)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// Several documents: YAML ones after `---` each, or one JSON List.
pub(crate) fn write_documents(
    out: &mut dyn Write,
    documents: &[Value],
    format: Document,
) -> Result<(), OutputError> {
    match format {
        Document::Yaml => {
            for document in documents {
                out.write_all(b"---\n")?;
                write_document(out, document, format)?;
            }
            Ok(())
        }
        Document::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
            write_document(out, &list, format)
        }
    }
}

/// YAML that readers of YAML 1.1, such as kubectl, understand the same way.
fn yaml(document: &Value) -> Result<String, serde_saphyr::SerializeError> {
    let mut text = serde_saphyr::to_string(document)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Text from files or from the cluster on one line: line breaks and other control characters, which could move
/// the cursor or change colours, are spelled out.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_stays_on_its_line_and_does_not_reach_the_terminal() {
        assert_eq!(one_line("a\nb\x1b[31m\u{9b}2J ü"), "a\\nb\\u{1b}[31m\\u{9b}2J ü");
    }

    #[test]
    fn text_that_yaml_1_1_reads_as_something_else_is_quoted() {
        for text in [
            "yes",
            "off",
            "y",
            "null",
            "~",
            "0644",
            "0x1f",
            "1e3",
            "1_000",
            "12:30",
            "2024-01-01",
            ".inf",
            "=",
            "<<",
            "",
        ] {
            let yaml = yaml(&json!({"a": text})).expect("YAML");
            let value = yaml.trim_end().strip_prefix("a: ").expect("a value");
            assert!(value.starts_with(['"', '\'']), "{text:?} is written as {value}");
        }
    }

    #[test]
    fn yaml_reads_back_as_it_was() {
        let document = json!({"text": "two\nlines\n", "open": "two\nlines", "space": " lead\n  more \n", "tab": "\ta",
            "long": "word ".repeat(60), "unicode": "ü\u{2028}\u{7f}", "numbers": [1, -1, 1.5], "empty": {"l": [], "m": {}}, "none": null});
        let back: Value = serde_saphyr::from_str(&yaml(&document).expect("YAML")).expect("reads");
        assert_eq!(back, document);
    }
}
