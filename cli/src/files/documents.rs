//! Texts become JSON values, document by document, read as Kubernetes reads them. Limits keep hostile input from
//! taking the machine; a document that is wrong does not hide the next.

use serde_json::Value;
use serde_saphyr::{Options, budget, options, options::DuplicateKeyPolicy};

use super::words;

/// Levels of nesting. Definitions with whole pod templates have about 40; a level costs stack.
pub(super) const DEEPEST: usize = 64;
/// How much aliases may add to a document.
const ALIAS_EVENTS: usize = 100_000;

/// A document and where it begins.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// Its first line, counted from 1.
    pub(super) line: usize,
    /// Its value; null for one that is empty.
    pub(super) value: Value,
}

/// A document that cannot be read.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    /// The line at fault, counted from 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// The documents of `text`, in order.
pub(super) fn parse(text: &str) -> impl Iterator<Item = Result<Document, Mistake>> {
    split(text).into_iter().map(|(line, chunk)| {
        let value = serde_saphyr::from_str_with_options::<Value>(chunk, as_kubernetes());
        match value {
            Ok(value) => Ok(Document {
                line: line + blank_lines(chunk),
                value,
            }),
            Err(error) => Err(mistake(line, &error)),
        }
    })
}

/// YAML as Kubernetes' own reader has it: YAML 1.1 booleans and octal numbers, no key twice.
fn as_kubernetes() -> Options {
    let mut options = options! {
        budget: budget! { max_depth: DEEPEST, max_nodes: 2_000_000, max_events: 4_000_000 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    options.alias_limits.max_total_replayed_events = ALIAS_EVENTS;
    options
}

/// Cuts at lines that begin a document with `---`, as kubectl does, instead of leaving it to the parser: after a
/// mistake it could not go on. Each chunk comes with the number of its first line.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut chunks = Vec::new();
    let (mut start, mut first_line, mut bare) = (0, 1, true);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if begins_document(line) && !bare {
            chunks.push((first_line, &text[start..offset]));
            (start, first_line) = (offset, index + 1);
        }
        // Directives and comments before `---` belong to the document that follows.
        bare = bare && (line.trim().is_empty() || line.starts_with(['#', '%']));
        offset += line.len();
    }
    if !bare {
        chunks.push((first_line, &text[start..]));
    }
    chunks
}

fn begins_document(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Lines before the content: the separator, comments, blank ones.
fn blank_lines(chunk: &str) -> usize {
    let blank = |line: &&str| {
        let line = line.trim();
        line.is_empty() || line == "---" || line.starts_with(['#', '%'])
    };
    chunk.lines().take_while(blank).count()
}

fn mistake(first_line: usize, error: &serde_saphyr::Error) -> Mistake {
    let within = error.location().map_or(1, |location| location.line().max(1));
    let within = usize::try_from(within).unwrap_or(1);
    Mistake {
        line: first_line + within - 1,
        message: words::sentence(error).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<Value> {
        parse(text)
            .map(|document| document.expect("a document").value)
            .collect()
    }

    fn first_mistake(text: &str) -> Mistake {
        parse(text).find_map(Result::err).expect("a mistake")
    }

    #[test]
    fn documents_are_told_apart_and_know_their_lines() {
        let text = "# a\n%YAML 1.2\n---\na: 1\n---\n\n# b\nb: |\n  x\n  ---\n--- # c\nc: 3\n...\n---\n";
        let documents: Vec<_> = parse(text).map(|d| d.expect("a document")).collect();
        let lines: Vec<_> = documents.iter().map(|d| d.line).collect();
        assert_eq!(
            values(text),
            [
                json!({"a": 1}),
                json!({"b": "x\n---\n"}),
                json!({"c": 3}),
                Value::Null
            ]
        );
        assert_eq!(lines[..2], [4, 8]);
    }

    #[test]
    fn a_mistake_is_named_with_its_line_in_the_file_and_the_next_document_is_read() {
        let documents: Vec<_> = parse("a: 1\n---\nb: [1\nc: }\n---\nd: 1\n").collect();
        assert_eq!(documents.len(), 3);
        let mistake = documents[1].as_ref().expect_err("a mistake");
        assert!((3..=4).contains(&mistake.line), "{mistake:?}");
        assert_eq!(documents[2].as_ref().expect("a document").value, json!({"d": 1}));
    }

    #[test]
    fn yaml_is_read_as_kubernetes_reads_it() {
        let text = "a: yes\nb: 0644\nc: 1e3\nd: 'no'\n8080: x\nf: ~\n";
        assert_eq!(
            values(text),
            [json!({"a": true, "b": 0o644, "c": 1000.0, "d": "no", "8080": "x", "f": null})]
        );
    }

    #[test]
    fn json_is_read_too_with_tabs_and_escapes() {
        assert_eq!(
            values("{\n\t\"a\": [1, \"\\u00fc\\n\"],\n\t\"b\": {}\n}\n"),
            [json!({"a": [1, "ü\n"], "b": {}})]
        );
    }

    #[test]
    fn a_key_given_twice_is_a_mistake() {
        let mistake = first_mistake("spec:\n  a: 1\n  a: 2\n");
        assert_eq!(mistake.line, 3);
        assert!(mistake.message.contains("duplicate"), "{mistake:?}");
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "[".repeat(1000);
        let closed = format!("{deep}{}", "]".repeat(1000));
        let block: Vec<_> = (0..1000).map(|level| " ".repeat(level) + "a:\n").collect();
        let mut bomb = vec!["a0: &a0 [x,x,x,x,x,x,x,x,x,x]".to_owned()];
        for level in 1..20 {
            let last = format!("*a{}", level - 1);
            bomb.push(format!("a{level}: &a{level} [{}]", [last.as_str(); 10].join(",")));
        }
        let (block, bomb) = (block.concat(), bomb.join("\n"));
        for text in [
            deep,
            closed,
            block,
            bomb,
            "a: *nowhere".into(),
            "\0\0".into(),
            "&a [*a]".into(),
        ] {
            first_mistake(&text);
        }
    }

    #[test]
    fn no_word_of_the_parser_reaches_the_reader() {
        let deep = "[".repeat(1000);
        for text in [
            "a: 1\na: 2",
            "{a: 1, a: 2}",
            "a: 1\n...\nb: 2",
            "a: !!binary '%%'",
            "a: !!binary /w==",
            "a: !mine x",
            "a: *nowhere",
            "&a [*a]",
            "<<: x",
            "a: [1",
            "a: 'x",
            "a: b: c",
            "a:\n\tb: 1",
            "? [a]\n: 1",
            "{a: 1}: 2",
            "a: .nan",
            "a: >\nx",
            "%YAML 3.0\n---\na: 1",
            "- a\nb: 1",
            "a: \"\\q\"",
            "\0",
            &deep,
        ] {
            for mistake in parse(text).filter_map(Result::err) {
                for word in [
                    "Policy",
                    "Options",
                    "from_",
                    "::",
                    "_",
                    "Breach",
                    "deserializ",
                    "scalar",
                    "serde",
                    "String",
                    "&str",
                    "invalid type",
                    "enum",
                    "budget",
                ] {
                    assert!(!mistake.message.contains(word), "{text:?}: {mistake:?}");
                }
                assert!(
                    !mistake.message.is_empty() && !mistake.message.contains('\n'),
                    "{text:?}"
                );
            }
        }
    }
}
