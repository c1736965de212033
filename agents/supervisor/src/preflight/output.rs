//! The output of a command: what of it goes into the log, and which last lines name the cause when it fails. Neither
//! holds a secret, and neither grows without end, whatever the command writes.

use std::{borrow::Cow, collections::VecDeque};

use serde::Deserialize;

use super::secrets::Secrets;

/// The longest line that is looked at, in bytes; the rest of a longer one is left out.
const LINE: usize = 16 * 1024;
/// So much goes into the log, in bytes.
const LOG: usize = 1024 * 1024;
/// The last lines that are kept.
const KEPT: usize = 32;
/// The last lines that name a cause. With how the command ended they fit into the message of a check, uncut.
pub const NAMED: usize = 4;
/// The longest of them, in bytes.
pub const NAMED_LINE: usize = 220;
/// What stands for the part that is left out.
const ELLIPSIS: &str = "…";

/// Output so far.
#[derive(Debug)]
pub struct Output<'a> {
    secrets: &'a Secrets,
    line: Vec<u8>,
    is_cut: bool,
    last: VecDeque<(Vec<u8>, bool)>,
    logged: usize,
}

impl<'a> Output<'a> {
    /// Nothing yet.
    pub const fn new(secrets: &'a Secrets) -> Self {
        Self {
            secrets,
            line: Vec::new(),
            is_cut: false,
            last: VecDeque::new(),
            logged: 0,
        }
    }

    /// Takes what the command has written; returns what goes into the log, in whole lines.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut log = String::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LINE - self.line.len();
            self.is_cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(&mut log);
            }
        }
        log
    }

    /// The command writes no more. Returns what is left for the log, and the last lines that say something, without
    /// control characters; what is only for information is among them when there is nothing else.
    pub fn end(mut self) -> (String, Vec<String>) {
        let mut log = String::new();
        if !self.line.is_empty() {
            self.end_line(&mut log);
        }
        let lines = self.last.iter().map(|(line, is_cut)| {
            let shown = show(line, *is_cut, self.secrets);
            let (text, is_cause) = read(&shown);
            (plain(&text, self.secrets), is_cause)
        });
        let mut lines: Vec<_> = lines
            // Python underlines the place of an error, too.
            .filter(|(text, _)| text.contains(char::is_alphanumeric))
            .collect();
        if lines.iter().any(|(_, is_cause)| *is_cause) {
            lines.retain(|(_, is_cause)| *is_cause);
        }
        let skipped = lines.len().saturating_sub(NAMED);
        let named = lines.into_iter().skip(skipped).map(|(text, _)| text);
        (log, named.collect())
    }

    fn end_line(&mut self, log: &mut String) {
        let line = std::mem::take(&mut self.line);
        let is_cut = std::mem::take(&mut self.is_cut);
        if self.logged < LOG {
            let shown = show(&line, is_cut, self.secrets);
            self.logged += shown.len() + 1;
            log.push_str(&shown);
            log.push('\n');
            if self.logged >= LOG {
                log.push_str("(the command writes more than is shown)\n");
            }
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((line, is_cut));
    }
}

/// A line without secrets.
fn show(line: &[u8], is_cut: bool, secrets: &Secrets) -> String {
    let mut text = secrets.hide(&String::from_utf8_lossy(line));
    if is_cut {
        // What stands at the cut could be the beginning of a secret.
        let safe = text.len().saturating_sub(secrets.longest());
        text.truncate(text.floor_char_boundary(safe));
        text.push_str(ELLIPSIS);
    }
    text
}

/// What a line says, and whether it may be a cause. An entry of a log in JSON, as structlog writes it, has its text and its
/// level; any other line may be one, such as the end of a traceback.
fn read(line: &str) -> (Cow<'_, str>, bool) {
    #[derive(Deserialize)]
    struct Entry {
        event: String,
        #[serde(default)]
        level: String,
    }
    match serde_json::from_str::<Entry>(line) {
        Ok(Entry { event, level }) => {
            let is_cause = !["debug", "info"].contains(&level.to_lowercase().as_str());
            (Cow::Owned(event), is_cause)
        }
        Err(_) => (Cow::Borrowed(line), true),
    }
}

/// A line without colours and control characters, no longer than can be named. Secrets that these have hidden go too.
fn plain(line: &str, secrets: &Secrets) -> String {
    let stripped = anstream::adapter::strip_str(line).to_string();
    let words: Vec<_> = stripped.split_whitespace().collect();
    let text = words.join(" ").replace(char::is_control, "");
    let mut text = secrets.hide(&text);
    if text.len() > NAMED_LINE {
        text.truncate(text.floor_char_boundary(NAMED_LINE - ELLIPSIS.len()));
        text.push_str(ELLIPSIS);
    }
    text
}

#[cfg(test)]
mod tests {
    use reeve_checks::{Checks, Secret};

    use super::*;

    fn secrets() -> Secrets {
        Secrets::of(&Checks {
            secrets: vec![Secret("hidden-value".to_owned())],
            ..Checks::default()
        })
    }

    /// What is logged of pieces of output, and the last lines.
    fn of(pieces: &[&[u8]]) -> (String, Vec<String>) {
        let secrets = secrets();
        let mut output = Output::new(&secrets);
        let mut log: String = pieces.iter().map(|piece| output.push(piece)).collect();
        let (rest, last) = output.end();
        log.push_str(&rest);
        (log, last)
    }

    #[test]
    fn the_last_lines_that_say_something_are_named_and_everything_is_logged() {
        let (log, last) = of(&[b"1\n2\n3\n4\n\n5\n", b"6", b"th\n  \n7"]);
        assert_eq!(log, "1\n2\n3\n4\n\n5\n6th\n  \n7\n");
        assert_eq!(last, ["4", "5", "6th", "7"]);
        assert_eq!(of(&[]), (String::new(), vec![]));
    }

    #[test]
    fn a_secret_is_hidden_also_where_it_comes_in_pieces() {
        let (log, last) = of(&[b"token=hid", b"den-value!\n"]);
        assert_eq!((log.as_str(), last), ("token=…!\n", vec!["token=…!".to_owned()]));
    }

    #[test]
    fn colours_and_control_characters_are_not_named_and_hide_no_secret() {
        let (_, last) = of(&[b"\x1b[31mError:\x1b[0m a\tb\x07\r\n", b"of hidden\x1b[0m-value\n"]);
        assert_eq!(last, ["Error: a b", "of …"]);
    }

    #[test]
    fn of_a_log_in_json_the_warnings_and_errors_are_named_by_their_text() {
        let entry =
            |level: &str, event: &str| format!("{{\"event\": \"{event}\", \"level\": \"{level}\"}}\n");
        let log = [
            entry("debug", "Executing command: sinfo -V"),
            entry("error", "Unable to fetch info, reason:\\n no hidden-value\\n"),
            entry("info", "done"),
        ];
        let pieces: Vec<_> = log.iter().map(String::as_bytes).collect();
        assert_eq!(of(&pieces).1, ["Unable to fetch info, reason: no …"]);
        let traceback = b"  File \"utils.py\", line 1\n    ^^^^^^\nValueError: wrong\n";
        assert_eq!(
            of(&[pieces[2], traceback]).1,
            ["File \"utils.py\", line 1", "ValueError: wrong"]
        );
        assert_eq!(
            of(&[pieces[0], pieces[2]]).1,
            ["Executing command: sinfo -V", "done"]
        );
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_is() {
        assert_eq!(of(&[b"caf\xe9\n"]).1, ["caf\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_no_secret_is_left_at_the_cut() {
        let mut line = vec![b'x'; LINE - 6];
        line.extend_from_slice(b"hidden-value and more");
        let (log, last) = of(&[&line, &vec![b'y'; 3 * LINE], b"\nnext\n"]);
        assert!(
            log.len() <= LINE + 10 && log.contains("x…\nnext\n"),
            "{}",
            log.len()
        );
        assert!(!log.contains('h') && !log.contains('y'));
        assert!(last[0].ends_with("x…") && last[0].len() <= NAMED_LINE);
        assert_eq!(last[1], "next");
    }

    #[test]
    fn a_command_that_never_stops_writing_fills_no_log() {
        let secrets = secrets();
        let mut output = Output::new(&secrets);
        let mut log = 0;
        for _ in 0..2000 {
            log += output.push(&b"0123456789abcde\n".repeat(128)).len();
        }
        let (rest, last) = output.end();
        assert!(rest.is_empty() && log > LOG && log < LOG + 100, "{log}");
        assert_eq!(last, vec!["0123456789abcde"; NAMED]);
    }
}
