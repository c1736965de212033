//! A process in this container. Its output is logged while it comes, without secrets, and its end is kept. What counts
//! is when the process ends: one that it leaves behind may keep its output open for ever.

use std::{io, pin::Pin, process::ExitStatus, process::Stdio, time::Duration};

use futures::future::{FusedFuture, FutureExt, join};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

use crate::redact::Redactor;

/// The most that is kept of each stream, in bytes: its last lines.
const KEPT: usize = 64 * 1024;
/// The longest line, in bytes. Longer ones are cut into several.
const LINE: usize = 16 * 1024;
/// How long output may still come after the end.
const GRACE: Duration = Duration::from_secs(1);

/// A process that has ended, or was ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How. None: its time was over.
    pub(crate) status: Option<ExitStatus>,
    /// The last of standard output, as it is.
    pub(crate) stdout: String,
    /// The last of standard error.
    pub(crate) stderr: String,
}

/// Runs it for `limit` at most. `name` is what its lines are logged under.
pub(crate) async fn run(
    command: &mut Command,
    name: &str,
    limit: Duration,
    redactor: &Redactor,
) -> io::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut stdout, mut stderr) = (Lines::of(name, redactor), Lines::of(name, redactor));
    let status = {
        let reading = join(stdout.read(child.stdout.take()), stderr.read(child.stderr.take()));
        let mut reading = std::pin::pin!(reading.fuse());
        let status = timeout(limit, until_ended(&mut child, reading.as_mut())).await;
        if status.is_err() {
            child.start_kill()?;
        }
        if !reading.is_terminated() {
            // Whatever still comes later is of processes that were left behind.
            let _ = timeout(GRACE, reading).await;
        }
        status.ok().transpose()?
    };
    Ok(Ended {
        status,
        stdout: stdout.end(),
        stderr: stderr.end(),
    })
}

/// Waits for the process while its output is read.
async fn until_ended(child: &mut Child, mut reading: Pin<&mut impl FusedFuture>) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = &mut reading, if !reading.is_terminated() => {}
        }
    }
}

/// The lines of a stream.
struct Lines<'a> {
    from: &'a str,
    redactor: &'a Redactor,
    /// What has come of a line that has not ended.
    open: Vec<u8>,
    kept: String,
}

impl<'a> Lines<'a> {
    fn of(from: &'a str, redactor: &'a Redactor) -> Self {
        Self {
            from,
            redactor,
            open: Vec::new(),
            kept: String::new(),
        }
    }

    /// Reads it to its end. One that cannot be read any further has ended.
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            buffer[..read].iter().for_each(|byte| self.push(*byte));
        }
    }

    fn push(&mut self, byte: u8) {
        if byte != b'\n' {
            self.open.push(byte);
        }
        if byte == b'\n' || self.open.len() >= LINE {
            self.close();
        }
    }

    fn close(&mut self) {
        let line = String::from_utf8_lossy(&self.open).into_owned();
        self.open.clear();
        self.redactor.log(self.from, &line);
        self.kept.push_str(&line);
        self.kept.push('\n');
        if self.kept.len() > 2 * KEPT {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let from = self.kept.ceil_char_boundary(self.kept.len().saturating_sub(KEPT));
        let line = self.kept[from..].find('\n').map_or(from, |end| from + end + 1);
        self.kept.drain(..line);
    }

    /// The last whole lines, and one that has not ended.
    fn end(mut self) -> String {
        if !self.open.is_empty() {
            self.close();
        }
        if self.kept.len() > KEPT {
            self.drop_oldest();
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn sh(script: &str, limit: Duration) -> Ended {
        let redactor = Redactor::default();
        let mut command = Command::new("sh");
        run(command.args(["-c", script]), "sh", limit, &redactor)
            .await
            .expect("it starts")
    }

    #[tokio::test]
    async fn what_is_left_in_the_background_keeps_nobody_waiting() {
        let begun = Instant::now();
        let ended = sh(
            "sleep 60 & echo passed; echo warned >&2; exit 0",
            Duration::from_secs(50),
        )
        .await;
        assert!(ended.status.is_some_and(|status| status.success()));
        assert_eq!(
            (ended.stdout.as_str(), ended.stderr.as_str()),
            ("passed\n", "warned\n")
        );
        assert!(begun.elapsed() < Duration::from_secs(40));
    }

    #[tokio::test]
    async fn what_was_said_before_the_time_was_over_is_kept() {
        let ended = sh(
            "echo important diagnostics; exec sleep 60",
            Duration::from_secs(2),
        )
        .await;
        assert!(ended.status.is_none());
        assert_eq!(ended.stdout, "important diagnostics\n");
    }

    #[tokio::test]
    async fn one_that_closes_its_output_is_waited_for() {
        let ended = sh("exec >&- 2>&-; sleep 0.1; exit 3", Duration::from_secs(50)).await;
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
    }

    #[test]
    fn only_the_last_whole_lines_are_kept_however_much_comes() {
        let redactor = Redactor::default();
        let mut lines = Lines::of("sh", &redactor);
        for number in 0..100_000 {
            format!("line {number}\n")
                .bytes()
                .for_each(|byte| lines.push(byte));
            assert!(lines.kept.len() <= 2 * KEPT);
        }
        b"no end".iter().for_each(|byte| lines.push(*byte));
        let kept = lines.end();
        assert!(kept.len() <= KEPT && kept.starts_with("line "), "{}", kept.len());
        assert!(kept.ends_with("line 99999\nno end\n"));
        let mut lines = Lines::of("sh", &redactor);
        (0..=LINE).for_each(|_| lines.push(b'x'));
        assert_eq!((lines.open.len(), lines.kept.len()), (1, LINE + 1));
    }
}
