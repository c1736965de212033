//! Writing lines and notes: each with its pod in front as soon as there is more than one.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};

use super::{lines::Line, tail::Said};
use crate::{
    exit::Error,
    output::{OutputError, one_line},
    verbs::Console,
};

/// Pods are told apart by these, in turn; where no terminal shows colours they are left out.
const COLOURS: [AnsiColor; 5] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Yellow,
    AnsiColor::Green,
];

/// Where logs go.
pub(crate) struct Printer<'a> {
    console: Console<'a>,
    timestamps: bool,
    /// Whether lines begin with their pod.
    named: bool,
    /// The pods so far and their colours.
    styles: BTreeMap<String, Style>,
    /// What was said last about each pod.
    notes: BTreeMap<String, String>,
}

impl<'a> Printer<'a> {
    /// Writes to `console`, with the time of each line if wished.
    pub(crate) const fn new(console: Console<'a>, timestamps: bool) -> Self {
        Self {
            console,
            timestamps,
            named: false,
            styles: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// From now on each line begins with its pod.
    pub(crate) const fn name_pods(&mut self) {
        self.named = true;
    }

    /// The log of this pod begins; with the second one, lines begin with their pod.
    pub(crate) fn begins(&mut self, pod: &str) {
        self.style(pod);
        self.named |= self.styles.len() > 1;
    }

    /// Whether anything was said about a pod.
    pub(crate) fn has_spoken(&self) -> bool {
        !self.notes.is_empty()
    }

    /// A line of a pod's log.
    pub(crate) fn line(&mut self, pod: &str, line: &Line) -> Result<(), Error> {
        let text = line.show(self.timestamps);
        if self.named {
            let style = self.style(pod);
            writeln!(self.console.out, "{style}[{pod}]{style:#} {text}")
        } else {
            writeln!(self.console.out, "{text}")
        }
        .map_err(OutputError::from)?;
        Ok(())
    }

    /// What a followed log gives.
    pub(crate) fn said(&mut self, said: &Said) -> Result<(), Error> {
        match said {
            Said::Line(pod, line) => self.line(pod, line),
            Said::Note(pod, note) => self.note(pod, note),
        }
    }

    /// Something about a pod, which is said once.
    pub(crate) fn note(&mut self, pod: &str, note: &str) -> Result<(), Error> {
        if self.notes.get(pod).is_some_and(|last| last == note) {
            return Ok(());
        }
        self.notes.insert(pod.to_owned(), note.to_owned());
        self.remark(&format!("{pod}: {note}"))
    }

    /// Something else that is no line of a log.
    pub(crate) fn remark(&mut self, remark: &str) -> Result<(), Error> {
        writeln!(self.console.err, "{}", one_line(remark)).map_err(OutputError::from)?;
        Ok(())
    }

    /// Shows what was written.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.console.out.flush().map_err(OutputError::from)?;
        Ok(())
    }

    fn style(&mut self, pod: &str) -> Style {
        let next = COLOURS[self.styles.len() % COLOURS.len()].on_default();
        *self.styles.entry(pod.to_owned()).or_insert(next)
    }
}
