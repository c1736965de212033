//! The numbers of a report in `JUnit`'s format, as pytest, gotestsum, Maven and most others write it. The test cases are
//! counted themselves, since the totals of suites are optional; of failures and errors the larger number holds, since
//! those before the first test have no case.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use reeve_rollout::step::TestSummary;

/// The largest report that is read, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;
/// Names of failed tests that are kept.
const NAMES: usize = 5;

/// A report that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    /// No XML.
    #[error("it is no XML: {0}")]
    Xml(#[from] quick_xml::Error),
    /// The writer was ended in the middle.
    #[error("it ends in the middle")]
    Cut,
    /// XML of something else.
    #[error("it has no element testsuite or testsuites: write it in `JUnit`'s format")]
    Other,
}

/// Counts the test cases.
pub fn summary(report: &[u8]) -> Result<TestSummary, BadReport> {
    let mut reader = Reader::from_reader(report);
    let mut summary = TestSummary::default();
    let mut case = None::<Case>;
    // What the suites that are open claim; the last one of all is around them.
    let (mut suites, mut claimed) = (false, vec![Claim::default()]);
    let (mut buffer, mut depth) = (Vec::new(), 0_u32);
    loop {
        let event = reader.read_event_into(&mut buffer)?;
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        match &event {
            Event::Eof if depth > 0 => return Err(BadReport::Cut),
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                "testsuite" | "testsuites" => {
                    suites = true;
                    claimed.push(Claim::of(element));
                    if empty {
                        close(&mut claimed);
                    }
                }
                "testcase" => {
                    let next = Case::of(element);
                    if empty {
                        next.count(&mut summary);
                    } else {
                        case = Some(next);
                    }
                }
                word => {
                    if let Some(case) = &mut case {
                        case.note(word);
                    }
                }
            },
            Event::End(element) => match element.local_name().as_ref() {
                "testsuite" | "testsuites" => close(&mut claimed),
                "testcase" => {
                    if let Some(case) = case.take() {
                        case.count(&mut summary);
                    }
                }
                _ => {}
            },
            _ => {}
        }
        buffer.clear();
    }
    if suites {
        let all = claimed.pop().unwrap_or_default().inner;
        summary.failures = summary.failures.max(all.0);
        summary.errors = summary.errors.max(all.1);
        Ok(summary)
    } else {
        Err(BadReport::Other)
    }
}

/// Failures and errors.
type Numbers = (u32, u32);

/// What a suite claims to hold, and what those in it claim together.
#[derive(Default)]
struct Claim {
    own: Numbers,
    inner: Numbers,
}

impl Claim {
    fn of(element: &BytesStart<'_>) -> Self {
        let number = |name| attribute(element, name).and_then(|text| text.trim().parse().ok());
        let own = (
            number("failures").unwrap_or_default(),
            number("errors").unwrap_or_default(),
        );
        Self { own, inner: (0, 0) }
    }
}

/// Ends the innermost suite. Its numbers may hold those of the ones in it already.
fn close(open: &mut Vec<Claim>) {
    let ended = open.pop().unwrap_or_default();
    if let Some(Claim { inner, .. }) = open.last_mut() {
        inner.0 = inner.0.saturating_add(ended.own.0.max(ended.inner.0));
        inner.1 = inner.1.saturating_add(ended.own.1.max(ended.inner.1));
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).ok().flatten()?;
    let raw = found.value.to_string();
    Some(quick_xml::escape::unescape(&raw).map_or(raw.clone(), std::borrow::Cow::into_owned))
}

/// A test.
struct Case {
    name: String,
    failed: bool,
    errored: bool,
    skipped: bool,
}

impl Case {
    fn of(element: &BytesStart<'_>) -> Self {
        let name = attribute(element, "name").unwrap_or_default();
        let class = attribute(element, "classname").filter(|class| !class.is_empty());
        Self {
            name: class.map_or(name.clone(), |class| format!("{class}.{name}")),
            failed: false,
            errored: false,
            skipped: false,
        }
    }

    fn note(&mut self, word: &str) {
        match word {
            "failure" => self.failed = true,
            "error" => self.errored = true,
            "skipped" => self.skipped = true,
            _ => {}
        }
    }

    fn count(self, summary: &mut TestSummary) {
        summary.tests += 1;
        summary.failures += u32::from(self.failed);
        summary.errors += u32::from(self.errored && !self.failed);
        summary.skipped += u32::from(self.skipped && !self.failed && !self.errored);
        if (self.failed || self.errored) && summary.failed.len() < NAMES {
            summary.failed.push(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_counted_and_totals_of_tests_are_not() {
        let report = br#"<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" tests="99">
  <testcase classname="test_app" name="test_up" time="0.1"/>
  <testcase classname="test_app" name="test_&lt;login&gt;"><failure message="no">trace</failure></testcase>
  <testcase name="test_db"><error/><system-out>x</system-out></testcase>
  <testcase name="test_gpu"><skipped/></testcase>
</testsuite></testsuites>"#;
        let found = summary(report).expect("a report");
        assert_eq!(
            (found.tests, found.failures, found.errors, found.skipped),
            (4, 1, 1, 1)
        );
        assert_eq!(found.failed, ["test_app.test_<login>", "test_db"]);
    }

    #[test]
    fn names_are_kept_of_the_first_that_failed_only() {
        let cases = r#"<testcase name="t"><failure/></testcase>"#.repeat(9);
        let found = summary(format!("<testsuite>{cases}</testsuite>").as_bytes()).expect("a report");
        assert_eq!((found.failures, found.failed.len()), (9, NAMES));
    }

    #[test]
    fn failures_that_no_case_shows_count_once_however_suites_are_nested() {
        for (report, failures, errors) in [
            (r#"<testsuite failures="1" errors="2"/>"#, 1, 2),
            (
                r#"<testsuite failures="0"><testcase name="a"><failure/></testcase></testsuite>"#,
                1,
                0,
            ),
            (
                r#"<testsuites errors="3"><testsuite errors="1"/><testsuite errors="2"><testcase name="a"/></testsuite></testsuites>"#,
                0,
                3,
            ),
            (
                r#"<testsuites><testsuite failures="1"/><testsuite failures="1"><testsuite failures="2"/></testsuite></testsuites>"#,
                3,
                0,
            ),
            (r#"<testsuite failures="many" errors="-1"/>"#, 0, 0),
        ] {
            let found = summary(report.as_bytes()).expect("a report");
            assert_eq!((found.failures, found.errors), (failures, errors), "{report}");
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in [
            "",
            "OK",
            "<html></html>",
            "<testsuite><testcase></testsuite>",
            "<testsuite><testcase name='a'/>",
        ] {
            assert!(summary(text.as_bytes()).is_err(), "{text}");
        }
    }
}
