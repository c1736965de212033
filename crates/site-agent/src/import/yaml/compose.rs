//! From parser events to values: aliases replaced, maps merged, keys that stand twice found. Limits keep hostile input
//! from taking the machine.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{Entry, Node, Yaml, scalar};

/// Levels of nesting.
const DEEPEST: usize = 64;
/// Values in a file, those that aliases repeat included.
const MOST: usize = 500_000;

/// Something that upstream's reader would stop at, or read in a way that nobody means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Mistake {
    pub(in crate::import) line: usize,
    pub(in crate::import) message: String,
}

impl Mistake {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

impl From<ScanError> for Mistake {
    fn from(error: ScanError) -> Self {
        Self::new(error.marker().line(), format!("not YAML: {}", error.info()))
    }
}

/// The document in `text`, and what is wrong with single lines of it. `None` when it is empty.
///
/// # Errors
/// What keeps the document from being read to its end.
pub(in crate::import) fn compose(text: &str) -> Result<(Option<Node>, Vec<Mistake>), Mistake> {
    let mut composer = Composer {
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        values: 0,
        mistakes: Vec::new(),
    };
    let mut document = None;
    loop {
        let Some((event, line)) = composer.next()? else {
            return Ok((document, composer.mistakes));
        };
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if document.is_some() => {
                let message = "a second document begins here, and upstream reads files with one only; import each by itself";
                return Err(Mistake::new(line, message));
            }
            event => document = Some(composer.node(event, line, 0)?),
        }
    }
}

struct Composer<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    values: usize,
    mistakes: Vec<Mistake>,
}

impl<'a> Composer<'a> {
    /// The next event and its line.
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, Mistake> {
        loop {
            match self.events.next().transpose()? {
                Some((Event::Comment(..), _)) => {}
                Some((event, span)) => return Ok(Some((event, span.start.line()))),
                None => return Ok(None),
            }
        }
    }

    /// The next event of a collection that began at `line`.
    fn within(&mut self, line: usize) -> Result<(Event<'a>, usize), Mistake> {
        self.next()?
            .ok_or_else(|| Mistake::new(line, "not YAML: the list or map that begins here has no end"))
    }

    /// The value that begins with `event`.
    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, Mistake> {
        if depth > DEEPEST {
            return Err(Mistake::new(
                line,
                format!("more than {DEEPEST} levels of nesting"),
            ));
        }
        self.count(1, line)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, self.scalar(&text, style, tag.as_deref(), line))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", line);
                (anchor, self.list(line, depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", line);
                (anchor, self.map(line, depth)?)
            }
            Event::Alias(anchor) => return self.alias(anchor, line),
            _ => return Err(Mistake::new(line, "not YAML: a value is missing here")),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, values: usize, line: usize) -> Result<(), Mistake> {
        self.values += values;
        if self.values > MOST {
            return Err(Mistake::new(
                line,
                format!("more than {MOST} values, those that aliases repeat included"),
            ));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node, Mistake> {
        let node = self.anchors.get(&anchor).cloned();
        let node = node.ok_or_else(|| Mistake::new(line, "the alias stands within what it repeats"))?;
        self.count(size(&node), line)?;
        Ok(node)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Yaml {
        let value = match tag.map(Tag::core_suffix) {
            None if style == ScalarStyle::Plain => scalar::plain(text),
            None => Ok(Yaml::Text(text.to_owned())),
            Some(Some(tag)) => scalar::tagged(text, tag),
            Some(None) => {
                self.refuse_tag(tag, "str", line);
                return Yaml::Null;
            }
        };
        value.unwrap_or_else(|error| {
            self.mistakes.push(Mistake::new(line, error.message()));
            Yaml::Null
        })
    }

    /// Upstream's reader knows the tags of YAML's core only.
    fn refuse_tag(&mut self, tag: Option<&Tag>, expected: &str, line: usize) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema_tag(expected)) {
            let message = "the value has a tag that does not fit it or that upstream's reader does not know; remove the tag";
            self.mistakes.push(Mistake::new(line, message));
        }
    }

    fn list(&mut self, begin: usize, depth: usize) -> Result<Yaml, Mistake> {
        let mut list = Vec::new();
        loop {
            match self.within(begin)? {
                (Event::SequenceEnd, _) => return Ok(Yaml::List(list)),
                (event, line) => list.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, begin: usize, depth: usize) -> Result<Yaml, Mistake> {
        let (mut own, mut merged, mut seen) = (Vec::<Entry>::new(), None, BTreeSet::new());
        loop {
            let (event, line) = self.within(begin)?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let (key, is_text) = self.key(event, line)?;
            let (event, at) = self.within(begin)?;
            let value = self.node(event, at, depth + 1)?;
            if !seen.insert((key.clone(), is_text)) {
                let message = format!(
                    "the key {key:?} stands twice in this map, and upstream takes the last; keep one"
                );
                self.mistakes.push(Mistake::new(line, message));
            }
            if is_merge {
                merged = Some((line, value));
                continue;
            }
            own.push(Entry {
                key,
                is_text,
                line,
                value,
            });
        }
        if let Some((line, value)) = merged {
            merge(&mut own, value).map_err(|()| {
                Mistake::new(line, "<< takes a map or a list of maps, such as an alias of one")
            })?;
        }
        Ok(Yaml::Map(own))
    }

    /// A key as written, and whether it is a text for upstream.
    fn key(&mut self, event: Event<'a>, line: usize) -> Result<(String, bool), Mistake> {
        let text = match &event {
            Event::Scalar(text, ..) => text.clone().into_owned(),
            Event::Alias(_) => String::new(),
            _ => return Err(Mistake::new(line, "a list or a map cannot be a key")),
        };
        match self.node(event, line, 0)?.value {
            Yaml::Text(text) => Ok((text, true)),
            Yaml::List(_) | Yaml::Map(_) => Err(Mistake::new(line, "a list or a map cannot be a key")),
            _ => Ok((text, false)),
        }
    }
}

/// Adds what `value` brings and the map itself does not have; of a list of maps the first counts.
fn merge(own: &mut Vec<Entry>, value: Node) -> Result<(), ()> {
    let maps = match value.value {
        Yaml::List(list) => list,
        _ => vec![value],
    };
    for map in maps {
        let Yaml::Map(entries) = map.value else {
            return Err(());
        };
        for entry in entries {
            let same = |known: &Entry| (&known.key, known.is_text) == (&entry.key, entry.is_text);
            if !own.iter().any(same) {
                own.push(entry);
            }
        }
    }
    Ok(())
}

/// How many values are in `node`.
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Yaml::List(list) => list.iter().map(size).sum(),
        Yaml::Map(map) => map.iter().map(|entry| size(&entry.value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document as text: maps in braces with the line of each key.
    fn shown(node: &Node) -> String {
        match &node.value {
            Yaml::Text(text) => text.clone(),
            Yaml::Int(number) => number.to_string(),
            Yaml::List(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Yaml::Map(map) => {
                let entries: Vec<_> = map
                    .iter()
                    .map(|entry| format!("{}@{}={}", entry.key, entry.line, shown(&entry.value)))
                    .collect();
                format!("{{{}}}", entries.join(" "))
            }
            other => other.kind().to_owned(),
        }
    }

    fn read(text: &str) -> (String, Vec<Mistake>) {
        let (node, mistakes) = compose(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        (node.as_ref().map(shown).unwrap_or_default(), mistakes)
    }

    #[test]
    fn aliases_and_merge_keys_are_resolved_as_upstream_does() {
        let text =
            "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: own\nd: {<<: *b}\ne: *a\n";
        let (shown, mistakes) = read(text);
        assert_eq!(mistakes, []);
        assert_eq!(
            shown,
            "{a@1={x@1=1 y@1=2} b@2={y@2=3 z@2=4} c@3={x@5=own y@1=2 z@2=4} d@6={y@2=3 z@2=4} e@7={x@1=1 y@1=2}}"
        );
    }

    #[test]
    fn a_key_that_stands_twice_is_named_with_its_line_and_the_rest_is_read() {
        let (shown, mistakes) = read("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n");
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [4, 5]);
        assert!(shown.starts_with("{a@1=1 b@2="), "{shown}");
    }

    #[test]
    fn what_upstream_cannot_read_is_named_with_its_line() {
        for (text, line) in [
            ("a: [1\nb: 2\n", 2),
            ("a: 1\n---\nb: 2\n", 3),
            ("a: *nowhere\n", 1),
            ("a: &a [*a]\n", 1),
            ("a:\n  <<: 5\n", 2),
            ("{a: 1}: 2\n", 1),
            ("a:\n\tb: 1\n", 2),
        ] {
            let mistake = compose(text).err().unwrap_or_else(|| panic!("{text} is read"));
            assert!((line..=line + 1).contains(&mistake.line), "{text}: {mistake:?}");
        }
        for text in [
            "a: !secret x\n",
            "a: !!python/object:os.system {}\n",
            "a: =\n",
            "a: !!int x\n",
        ] {
            assert_eq!(read(text).1.len(), 1, "{text}");
        }
    }

    #[test]
    fn hostile_input_is_refused() {
        let deep = format!("a: {}{}", "[".repeat(1000), "]".repeat(1000));
        let mut bomb = vec!["a0: &a0 [x,x,x,x,x,x,x,x,x,x]".to_owned()];
        for level in 1..20 {
            let last = format!("*a{}", level - 1);
            bomb.push(format!("a{level}: &a{level} [{}]", [last.as_str(); 10].join(",")));
        }
        for text in [deep, bomb.join("\n"), "[".repeat(100_000)] {
            assert!(compose(&text).is_err());
        }
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "# a comment\n", "\n\n"] {
            assert!(compose(text).is_ok_and(|(node, _)| node.is_none()), "{text:?}");
        }
    }
}
