//! Where a run is shown while it goes on: as lines that are added when something changes, or on a terminal as a block of
//! lines that is drawn anew.

use std::{collections::BTreeMap, fmt::Write as _, io::Write};

use jiff::Timestamp;
use reeve_rollout::{Phase, Run, spelled};

use super::view::{Mark, PhaseLine, Question, phases, seconds};
use crate::output::{HEADING, OutputError, WAITING, one_line};

/// How a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Not at all.
    Quiet,
    /// A line for each change, with the time.
    Lines,
    /// A block that is drawn anew, with clocks that run.
    Block,
}

impl Way {
    /// The way for standard error: a block where it is a terminal that takes colours.
    pub(crate) fn of_standard_error() -> Self {
        let colours = anstream::AutoStream::choice(&std::io::stderr());
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) && colours != anstream::ColorChoice::Never {
            Self::Block
        } else {
            Self::Lines
        }
    }
}

/// The place.
pub(crate) struct Screen<'a> {
    out: &'a mut (dyn Write + Send),
    way: Way,
    /// Lines of the block that stand on the terminal.
    drawn: usize,
    /// The last sentence on what is waited for.
    said: String,
    /// What was last said of each phase.
    shown: BTreeMap<Phase, (Mark, String)>,
    run: Option<String>,
}

impl<'a> Screen<'a> {
    /// An empty one.
    pub(crate) fn new(out: &'a mut (dyn Write + Send), way: Way) -> Self {
        Self {
            out,
            way,
            drawn: 0,
            said: String::new(),
            shown: BTreeMap::new(),
            run: None,
        }
    }

    /// Whether it changes as time goes by.
    pub(crate) fn has_clocks(&self) -> bool {
        self.way == Way::Block
    }

    /// What is waited for before there is a run, or while nothing can be seen.
    pub(crate) fn say(&mut self, sentence: &str, now: Timestamp) -> Result<(), OutputError> {
        if self.way == Way::Quiet || self.said == sentence {
            return Ok(());
        }
        sentence.clone_into(&mut self.said);
        // What stands stays there, and the block begins anew below.
        self.drawn = 0;
        let line = format!("{} {}\n", time(now), one_line(sentence));
        Ok(self.out.write_all(line.as_bytes())?)
    }

    /// How far `run` is.
    pub(crate) fn show(&mut self, run: &Run, now: Timestamp) -> Result<(), OutputError> {
        match self.way {
            Way::Quiet => Ok(()),
            Way::Lines => self.add(run, now),
            Way::Block => self.draw(run, now),
        }
    }

    fn add(&mut self, run: &Run, now: Timestamp) -> Result<(), OutputError> {
        if self.run.as_ref() != Some(&run.id) {
            writeln!(self.out, "{} {}", time(now), heading(run))?;
            self.run = Some(run.id.clone());
            self.shown.clear();
        }
        for line in phases(run, now).into_iter().filter(|line| !line.between) {
            let text = words(&line);
            let shown = Some((line.mark, text.clone()));
            if self.shown.get(&line.phase).cloned() != shown {
                let sign = sign(line.mark);
                writeln!(self.out, "{} {sign} {}", time(now), with_duration(&line, &text))?;
                self.shown.extend(shown.map(|shown| (line.phase, shown)));
            }
        }
        let waits = waiting(run).unwrap_or_default();
        if !waits.is_empty() && waits != self.said {
            writeln!(self.out, "{} {waits}", time(now))?;
        }
        self.said = waits;
        Ok(())
    }

    fn draw(&mut self, run: &Run, now: Timestamp) -> Result<(), OutputError> {
        let taken = spelled(seconds(run.started_at, run.ended_at.unwrap_or(now)));
        let mut lines = vec![format!("{}, {taken}", heading(run))];
        for line in phases(run, now) {
            let text = words(&line);
            lines.push(format!("  {} {}", sign(line.mark), with_duration(&line, &text)));
        }
        lines.extend(waiting(run).map(|waits| format!("  {waits}")));
        let mut block = String::new();
        if self.drawn > 0 {
            let _ = write!(block, "\u{1b}[{}A", self.drawn);
        }
        // From here to the end nothing is left; and a line that is too long is cut, or the next block would not begin
        // where this one does.
        block.push_str("\r\u{1b}[J\u{1b}[?7l");
        for line in &lines {
            block.extend([line, "\n"]);
        }
        block.push_str("\u{1b}[?7h");
        self.drawn = lines.len();
        self.out.write_all(block.as_bytes())?;
        Ok(self.out.flush()?)
    }
}

fn time(now: Timestamp) -> String {
    now.strftime("%H:%M:%S").to_string()
}

fn heading(run: &Run) -> String {
    let (id, revision) = (one_line(&run.id), one_line(&run.revision));
    format!(
        "{HEADING}run {id}{HEADING:#} of {revision} to {}",
        run.environment
    )
}

fn sign(mark: Mark) -> String {
    let style = mark.style();
    format!("{style}{}{style:#}", mark.sign())
}

/// What is said of a phase, without how long it took.
fn words(line: &PhaseLine) -> String {
    let mut text = line.phase.to_string();
    if !line.about.is_empty() {
        text.extend([" (", &one_line(&line.about), ")"]);
    }
    if !line.message.is_empty() {
        text.extend([": ", &one_line(&line.message)]);
    }
    text
}

fn with_duration(line: &PhaseLine, text: &str) -> String {
    let name = line.phase.name();
    let rest = text.strip_prefix(name).unwrap_or_default();
    format!("{name} {}{rest}", line.duration())
}

fn waiting(run: &Run) -> Option<String> {
    let waiting = run.waiting.as_ref().filter(|_| run.outcome.is_none())?;
    let what = match Question::of(run) {
        Some(question) => question.words(),
        // The phase's line says that.
        None if waiting.reason == reeve_rollout::WaitReason::Retry => return None,
        None => "its turn".to_owned(),
    };
    let message = one_line(&waiting.message);
    let until = waiting
        .until
        .map(|until| format!(", until {until:.0}"))
        .unwrap_or_default();
    Some(format!("{WAITING}waits for {what}{WAITING:#}{until}: {message}"))
}

#[cfg(test)]
mod tests;
