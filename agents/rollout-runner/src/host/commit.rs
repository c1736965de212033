//! Ids of commits. Other hosts and scripts go by them, so what a host says and what an instruction tells is looked at
//! before it goes any further: nothing that is no id may become an option of Git.

use reeve_rollout::step::cut;

use crate::answer::{Outcome, Problem};

/// The most of a text that is no commit that is told of it, in bytes.
const SHOWN: usize = 80;

/// `text` where it is the full id of a commit: 40 lower-case hexadecimal digits, or 64 with SHA-256. `whose` begins the
/// sentence that is told otherwise.
pub(super) fn commit<'a>(text: &'a str, whose: &str) -> Outcome<&'a str> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits && matches!(text.len(), 40 | 64) {
        return Ok(text);
    }
    Err(Problem::failed(
        "BadCommit",
        format!(
            "{whose} {:?}, which is no commit: its full id has 40 or 64 lower-case hexadecimal digits; nothing was done \
             with it",
            cut(text, SHOWN)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_ids_are_commits() {
        for length in [40, 64] {
            assert!(commit(&"0a".repeat(length / 2), "host app says").is_ok());
        }
        for text in [
            "",
            "main",
            "0123abc",
            "--upload-pack=touch /tmp/pwned",
            &"A".repeat(40),
            &"a".repeat(41),
            &format!("{}\n", "a".repeat(39)),
            &"ä".repeat(20),
        ] {
            let problem = commit(text, "host app says").expect_err(text);
            assert_eq!(problem.reason, "BadCommit");
            assert!(
                problem.message.starts_with("host app says \""),
                "{}",
                problem.message
            );
        }
    }

    #[test]
    fn a_long_text_is_told_in_part() {
        let problem = commit(&"x".repeat(10_000), "host app says").expect_err("no commit");
        assert!(problem.message.len() < 300, "{}", problem.message);
    }
}
