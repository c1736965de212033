//! A container's log, line by line in bounded memory: the API server puts the time before each line, and a line may be
//! of any length.

use std::io;

use futures::{AsyncBufRead, AsyncBufReadExt};
use jiff::Timestamp;

use crate::output::one_line;

/// Bytes of a line that are held at once; a longer one comes in pieces.
const LONGEST: usize = 64 * 1024;

/// A line, or a piece of one that is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it was written; none for what follows a line's first piece, or when the server says no time.
    pub(crate) at: Option<Timestamp>,
    /// That time in the server's words.
    stamp: String,
    /// What was written; without control characters, which could play tricks on a terminal.
    text: String,
}

impl Line {
    fn new(bytes: &[u8], first: bool) -> Self {
        let raw = String::from_utf8_lossy(bytes);
        let raw = raw.strip_suffix('\r').unwrap_or(&raw);
        let timed = raw
            .split_once(' ')
            .filter(|_| first)
            .and_then(|(stamp, text)| Some((stamp.parse().ok()?, stamp, text)));
        let (at, stamp, text) = match timed {
            Some((at, stamp, text)) => (Some(at), stamp, text),
            None => (None, "", raw),
        };
        Self {
            at,
            stamp: stamp.to_owned(),
            // Tracebacks are indented by tabs.
            text: text.split('\t').map(one_line).collect::<Vec<_>>().join("\t"),
        }
    }

    /// As it is shown.
    pub(crate) fn show(&self, timestamps: bool) -> String {
        if timestamps && !self.stamp.is_empty() {
            format!("{} {}", self.stamp, self.text)
        } else {
            self.text.clone()
        }
    }
}

/// The lines of a log that was asked for with timestamps.
pub(crate) struct Lines<R> {
    input: R,
    /// Whether the last piece did not end its line.
    open: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Reads from `input`.
    pub(crate) const fn new(input: R) -> Self {
        Self { input, open: false }
    }

    /// The next line; none at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        loop {
            let available = self.input.fill_buf().await?;
            if available.is_empty() {
                let rest = (!bytes.is_empty()).then(|| self.line(&bytes, false));
                return Ok(rest);
            }
            let room = &available[..available.len().min(LONGEST - bytes.len())];
            let end = room.iter().position(|byte| *byte == b'\n');
            bytes.extend_from_slice(&room[..end.unwrap_or(room.len())]);
            let taken = end.map_or(room.len(), |end| end + 1);
            self.input.consume_unpin(taken);
            if end.is_some() && bytes.is_empty() && self.open {
                // The last piece was the whole rest of its line.
                self.open = false;
                continue;
            }
            if end.is_some() || bytes.len() == LONGEST {
                return Ok(Some(self.line(&bytes, end.is_none())));
            }
        }
    }

    fn line(&mut self, bytes: &[u8], goes_on: bool) -> Line {
        let first = !std::mem::replace(&mut self.open, goes_on);
        Line::new(bytes, first)
    }
}

#[cfg(test)]
mod tests {
    use futures::io::BufReader;

    use super::*;

    /// The lines of `log`, read in pieces of `chunk` bytes.
    async fn lines(log: &[u8], chunk: usize) -> Vec<Line> {
        let mut lines = Lines::new(BufReader::with_capacity(chunk, log));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.expect("memory can be read") {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn times_are_told_from_what_was_written_and_shown_on_request() {
        let log = b"2026-01-01T00:00:00.5Z started\r\n2026-01-01T00:00:01Z \tat x\x1b[31m\nno time\n2026-01-01T00:00:02Z ";
        for chunk in [1, 7, 4096] {
            let lines = lines(log, chunk).await;
            let shown: Vec<_> = lines.iter().map(|line| line.show(false)).collect();
            assert_eq!(shown, ["started", "\tat x\\u{1b}[31m", "no time", ""]);
            assert_eq!(lines[0].show(true), "2026-01-01T00:00:00.5Z started");
            assert_eq!(lines[2].show(true), "no time");
            assert_eq!(lines[1].at, "2026-01-01T00:00:01Z".parse().ok());
        }
    }

    #[tokio::test]
    async fn a_line_that_just_fits_is_one_line() {
        let log = ["x".repeat(LONGEST), "\n\nnext\n".to_owned()].concat();
        let lengths: Vec<_> = lines(log.as_bytes(), 1000)
            .await
            .iter()
            .map(|line| line.text.len())
            .collect();
        assert_eq!(lengths, [LONGEST, 0, 4]);
    }

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces_of_bounded_length() {
        let log = [
            b"2026-01-01T00:00:00Z ".as_slice(),
            &b"x".repeat(3 * LONGEST),
            b"\nnext\n",
        ]
        .concat();
        let lines = lines(&log, 1000).await;
        let lengths: Vec<_> = lines.iter().map(|line| line.text.len()).collect();
        assert_eq!(lengths, [LONGEST - 21, LONGEST, LONGEST, 21, 4]);
        let timed: Vec<_> = lines.iter().map(|line| line.at.is_some()).collect();
        assert_eq!(timed, [true, false, false, false, false]);
    }
}
