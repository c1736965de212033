//! What was found out, as checks of the report: the name that people know a thing by, a word, and a sentence with the
//! remedy.

use std::{path::Path, time::Duration};

use reeve_checks::{Checks, Offering, Waldur, preflight::Check};

use super::{
    ask::{Greeting, Sight},
    command::{End, Ran},
};
use crate::{
    exit::Exit,
    vigil::{
        finding::{Finding, Reason},
        route::base,
    },
};

/// As many offerings are named beside a Waldur that others are asked beside.
const NAMED: usize = 3;

/// Whether each Waldur answers this user.
pub fn waldurs(checks: &Checks, greetings: &[Greeting], limit: Duration) -> Vec<Check> {
    let named = checks.waldur.iter().enumerate();
    named
        .zip(greetings)
        .map(|((number, waldur), greeting)| {
            let name = waldur_name(checks, number, waldur);
            match greeting {
                Some(Ok(_)) => Check::passed(name),
                Some(Err(finding)) => of_finding(name, finding),
                None => late(name, limit),
            }
        })
        .collect()
}

/// Whether this user sees each offering.
pub fn offerings(checks: &Checks, sights: &[Sight], limit: Duration) -> Vec<Check> {
    let named = checks.offerings.iter().zip(sights);
    named
        .map(|(offering, sight)| of_sight(offering, sight, limit))
        .collect()
}

fn of_sight(offering: &Offering, sight: &Sight, limit: Duration) -> Check {
    let Offering { name, uuid, .. } = offering;
    let check = format!("Offering \"{name}\"");
    match sight {
        Sight::Seen => Check::passed(check),
        Sight::NotSeen => {
            let message = format!(
                "offering \"{name}\" ({uuid}) is not there or this user may not see it; check its uuid, and that the \
                 user is a manager of the offering"
            );
            Check::failed(check, "NotFound", message)
        }
        Sight::Untold(finding) => of_finding(check, finding),
        Sight::Late => late(check, limit),
        Sight::NotAsked => Check::skipped(check, "NotAsked", "its Waldur cannot be asked as this user"),
    }
}

/// Whether the command found everything well.
pub fn command(program: &str, ran: &Ran, limit: Duration) -> Check {
    let name = command_name(program);
    match &ran.end {
        End::Exited(Exit::Code(0)) => Check::passed(name),
        End::Exited(exit) => Check::failed(name, "Failed", with_last(&exit.to_string(), &ran.last)),
        End::TimedOut => {
            let what = format!(
                "was not over within the time limit of {} s and was killed",
                limit.as_secs()
            );
            Check::failed(name, "TimedOut", with_last(&what, &ran.last))
        }
        End::NotStarted(error) => Check::failed(name, "Failed", format!("cannot be started: {error}")),
    }
}

/// The command was not run: without Waldur or an offering it would say the same again, in the words of a traceback.
pub fn command_not_run(program: &str) -> Check {
    Check::skipped(
        command_name(program),
        "NotRun",
        "it needs Waldur and the offerings, of which something failed",
    )
}

/// Nothing further was looked at.
pub fn interrupted() -> Check {
    Check::failed(
        "Preflight",
        "Interrupted",
        "was told to stop before it was through",
    )
}

fn command_name(program: &str) -> String {
    let name = Path::new(program).file_name().unwrap_or(program.as_ref());
    format!("Command {}", name.display())
}

fn with_last(what: &str, last: &[String]) -> String {
    if last.is_empty() {
        return format!("{what}; it wrote nothing");
    }
    format!("{what}; its last lines: {}", last.join(" / "))
}

/// What cannot be told stands in nobody's way.
fn of_finding(check: String, finding: &Finding) -> Check {
    match finding.reason {
        Reason::Succeeded => Check::passed(check),
        Reason::NotChecked => Check::skipped(check, Reason::NotChecked.cause(), &*finding.message),
        reason => Check::failed(check, reason.cause(), &*finding.message),
    }
}

fn late(check: String, limit: Duration) -> Check {
    let message = format!("no answer within the time limit of {} s", limit.as_secs());
    Check::failed(check, "TimedOut", message)
}

/// A Waldur's URL, and where there are several connections, the offerings that use this one: the same Waldur may be
/// asked with several tokens.
fn waldur_name(checks: &Checks, number: usize, waldur: &Waldur) -> String {
    let url = waldur
        .url
        .parse()
        .map_or_else(|_| format!("#{number}"), |uri| base(&uri));
    let mut users = checks
        .offerings
        .iter()
        .filter(|offering| offering.waldur == number);
    let named: Vec<_> = users
        .by_ref()
        .take(NAMED)
        .map(|offering| format!("\"{}\"", offering.name))
        .collect();
    if checks.waldur.len() < 2 || named.is_empty() {
        return format!("Waldur {url}");
    }
    let named = named.join(", ");
    match users.count() {
        0 => format!("Waldur {url} for {named}"),
        more => format!("Waldur {url} for {named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use reeve_checks::{Auth, preflight::Outcome};

    use super::*;
    use crate::preflight::output::{NAMED, NAMED_LINE};

    const LIMIT: Duration = Duration::from_mins(2);

    fn waldur(url: &str) -> Waldur {
        Waldur {
            url: url.to_owned(),
            auth: Auth::Token("t0ken".to_owned()),
            verify: true,
            proxy: None,
        }
    }

    fn offering(name: &str, waldur: usize) -> Offering {
        Offering {
            name: name.to_owned(),
            uuid: "0c".to_owned(),
            waldur,
        }
    }

    fn ran(end: End, last: &[&str]) -> Ran {
        let last = last.iter().map(|line| (*line).to_owned()).collect();
        Ran { end, last }
    }

    #[test]
    fn a_waldur_is_named_by_its_host_and_where_there_are_several_by_its_offerings() {
        let mut checks = Checks {
            waldur: vec![waldur("https://user:hidden@waldur.example.org/api/")],
            offerings: vec![offering("a", 0), offering("b", 1)],
            ..Checks::default()
        };
        let good = || Some(Ok(HeaderValue::from_static("Token x")));
        let names = |checks: &Checks| -> Vec<String> {
            let greetings: Vec<Greeting> = checks.waldur.iter().map(|_| good()).collect();
            let made = waldurs(checks, &greetings, LIMIT);
            made.into_iter().map(|check| check.check).collect()
        };
        assert_eq!(names(&checks), ["Waldur https://waldur.example.org"]);
        checks
            .waldur
            .extend([waldur("https://b.example.org/"), waldur("not a URL")]);
        checks
            .offerings
            .extend(["c", "d", "e", "f"].map(|name| offering(name, 1)));
        assert_eq!(
            names(&checks),
            [
                "Waldur https://waldur.example.org for \"a\"",
                "Waldur https://b.example.org for \"b\", \"c\", \"d\" and 2 more",
                "Waldur #2",
            ]
        );
    }

    #[test]
    fn what_waldur_answers_has_its_word_and_what_cannot_be_told_fails_nothing() {
        let checks = Checks {
            waldur: vec![waldur("https://w.example.org")],
            ..Checks::default()
        };
        let of = |greeting: Greeting| {
            let check = waldurs(&checks, &[greeting], LIMIT).remove(0);
            (check.result, check.reason)
        };
        let wrong = |reason| Some(Err(Finding::new(reason, "a sentence")));
        let failed = |word: &str| (Outcome::Failed, word.to_owned());
        assert_eq!(of(wrong(Reason::Unauthorized)), failed("Unauthorized"));
        assert_eq!(of(wrong(Reason::TlsError)), failed("TLSError"));
        assert_eq!(of(wrong(Reason::NotWaldur)), failed("NotWaldur"));
        assert_eq!(of(None), failed("TimedOut"));
        assert_eq!(
            of(wrong(Reason::NotChecked)),
            (Outcome::Skipped, "NotChecked".to_owned())
        );
    }

    #[test]
    fn an_offering_that_is_not_seen_is_named_with_its_uuid_and_one_that_was_not_asked_for_is_skipped() {
        let checks = Checks {
            offerings: vec![offering("x", 0); 4],
            ..Checks::default()
        };
        let untold = Sight::Untold(Finding::new(Reason::Unreachable, "answers with status 502"));
        let sights = [Sight::NotSeen, Sight::Seen, Sight::NotAsked, untold];
        let made = offerings(&checks, &sights, LIMIT);
        let missing = "offering \"x\" (0c) is not there or this user may not see it";
        assert!(made[0].message.starts_with(missing), "{made:?}");
        let results: Vec<_> = made.iter().map(|check| check.result).collect();
        assert_eq!(
            results,
            [
                Outcome::Failed,
                Outcome::Passed,
                Outcome::Skipped,
                Outcome::Failed
            ]
        );
        assert_eq!(made[3].reason, "Unreachable");
    }

    #[test]
    fn a_command_that_fails_is_named_with_its_end_and_its_last_lines() {
        let of = |end, last: &[&str]| command("/usr/bin/diagnose", &ran(end, last), LIMIT);
        assert_eq!(
            of(End::Exited(Exit::Code(0)), &["fine"]),
            Check::passed("Command diagnose")
        );
        let failed = of(End::Exited(Exit::Code(1)), &["a", "b"]);
        assert_eq!(
            (failed.reason.as_str(), failed.message.as_str()),
            ("Failed", "exited with code 1; its last lines: a / b")
        );
        let silent = of(End::Exited(Exit::Signal(9)), &[]);
        assert!(
            silent.message.ends_with("kill -9); it wrote nothing"),
            "{silent:?}"
        );
        let late = of(End::TimedOut, &["asking"]);
        assert_eq!(late.reason, "TimedOut");
        assert!(
            late.message.contains("120 s") && late.message.ends_with("asking"),
            "{late:?}"
        );
    }

    #[test]
    fn the_last_line_is_the_one_that_tells_and_is_never_cut_off() {
        let mut last = vec!["x".repeat(NAMED_LINE); NAMED];
        last[NAMED - 1].replace_range(NAMED_LINE - 5.., "wrong");
        for end in [
            End::TimedOut,
            End::Exited(Exit::Signal(9)),
            End::Exited(Exit::Code(127)),
        ] {
            let last = last.clone();
            let check = command("diagnose", &Ran { end, last }, Duration::from_secs(99_999));
            assert!(check.message.ends_with("wrong"), "{check:?}");
        }
    }
}
