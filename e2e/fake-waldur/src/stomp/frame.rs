//! STOMP frames: reading them from a stream of bytes and writing them.

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) command: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame's head is not UTF-8")]
    NotText,
    #[error("the header line {0:?} has no colon")]
    NoColon(String),
    #[error("the header {0:?} has an undefined escape")]
    BadEscape(String),
    #[error("the content-length {0:?} is not a number")]
    BadLength(String),
    #[error("the body is longer than its content-length")]
    TooLong,
}

impl Frame {
    /// A frame without headers and body.
    pub(crate) fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.with("content-length", body.len().to_string())
    }

    /// The header of this name; of several the first counts.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The frame as a WebSocket text.
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{}\n", self.command);
        for (name, value) in &self.headers {
            let line = match self.command.as_str() {
                "CONNECTED" => [name.clone(), value.clone()],
                _ => [escape(name), escape(value)],
            };
            text.push_str(&line.join(":"));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&self.body));
        text.push('\0');
        text
    }

    /// Takes the first frame off the buffer; none if it is not complete. Line ends between frames are
    /// heart-beats and are taken off too.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>, FrameError> {
        let beats = buffer
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'))
            .count();
        buffer.drain(..beats);
        let Some((head_end, body_start)) = end_of_head(buffer) else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&buffer[..head_end]).map_err(|_| FrameError::NotText)?;
        let mut frame = Self::read_head(head)?;
        let length = match frame.header("content-length") {
            None => buffer[body_start..].iter().position(|byte| *byte == 0),
            Some(text) => {
                let length = text.parse().map_err(|_| FrameError::BadLength(text.to_owned()))?;
                match buffer.get(body_start.saturating_add(length)) {
                    None => None,
                    Some(0) => Some(length),
                    Some(_) => return Err(FrameError::TooLong),
                }
            }
        };
        let Some(length) = length else { return Ok(None) };
        frame.body = buffer[body_start..body_start + length].to_vec();
        buffer.drain(..=body_start + length);
        Ok(Some(frame))
    }

    fn read_head(head: &str) -> Result<Self, FrameError> {
        let mut lines = head.lines();
        let mut frame = Self::new(lines.next().unwrap_or_default());
        // Headers of CONNECT are not escaped, so that a 1.0 server could read them (STOMP 1.2, "Value Encoding").
        let plain = matches!(frame.command.as_str(), "CONNECT" | "CONNECTED");
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| FrameError::NoColon(line.to_owned()))?;
            let (name, value) = if plain {
                (name.to_owned(), value.to_owned())
            } else {
                (unescape(name)?, unescape(value)?)
            };
            frame.headers.push((name, value));
        }
        Ok(frame)
    }
}

/// Where the head ends and where the body starts.
fn end_of_head(buffer: &[u8]) -> Option<(usize, usize)> {
    let lf = buffer
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map(|at| (at, at + 2));
    let crlf = buffer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| (at, at + 4));
    [lf, crlf].into_iter().flatten().min()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\r', "\\r")
        .replace('\n', "\\n")
        .replace(':', "\\c")
}

fn unescape(text: &str) -> Result<String, FrameError> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('\\') => '\\',
                Some('r') => '\r',
                Some('n') => '\n',
                Some('c') => ':',
                _ => return Err(FrameError::BadEscape(text.to_owned())),
            },
            other => other,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
        Frame::take(&mut bytes.to_vec())
    }

    #[test]
    fn a_frame_survives_writing_and_reading() {
        let frame = Frame::new("MESSAGE")
            .with("destination", "/amq/queue/a:b\\c")
            .body("{\"a\":\"\\u0000\"}");
        assert_eq!(take(frame.encode().as_bytes()), Ok(Some(frame)));
    }

    #[test]
    fn frames_may_come_in_pieces_several_at_once_and_with_heart_beats_between() {
        let mut buffer = b"\n\r\nSTOMP\r\nhost:h\r\n\r\n\0\nDISCONNECT\n\n\0SUB".to_vec();
        let first = Frame::take(&mut buffer).unwrap().unwrap();
        assert_eq!(
            (first.command.as_str(), first.header("host")),
            ("STOMP", Some("h"))
        );
        assert_eq!(Frame::take(&mut buffer).unwrap().unwrap().command, "DISCONNECT");
        assert_eq!(Frame::take(&mut buffer), Ok(None));
        assert_eq!(buffer, b"SUB");
    }

    #[test]
    fn a_body_with_nul_is_read_by_its_content_length() {
        let frame = take(b"SEND\ncontent-length:3\n\na\0b\0").unwrap().unwrap();
        assert_eq!(frame.body, b"a\0b");
        assert_eq!(take(b"SEND\ncontent-length:1\n\nab\0"), Err(FrameError::TooLong));
        assert_eq!(take(b"SEND\ncontent-length:5\n\nab\0"), Ok(None));
    }

    #[test]
    fn of_a_repeated_header_the_first_counts() {
        assert_eq!(
            take(b"SEND\na:1\na:2\n\n\0").unwrap().unwrap().header("a"),
            Some("1")
        );
    }

    #[test]
    fn malformed_heads_are_refused_with_their_cause() {
        assert_eq!(
            take(b"SEND\nnocolon\n\n\0"),
            Err(FrameError::NoColon("nocolon".to_owned()))
        );
        assert_eq!(
            take(b"SEND\na:\\t\n\n\0"),
            Err(FrameError::BadEscape("\\t".to_owned()))
        );
        assert_eq!(
            take(b"SEND\ncontent-length:x\n\n\0"),
            Err(FrameError::BadLength("x".to_owned()))
        );
    }
}
