//! The lines of a unit file, by systemd's rules (systemd.syntax): sections, comments, continued lines.

/// `Key=value` within a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment<'a> {
    pub(super) section: &'a str,
    pub(super) key: &'a str,
    /// The value, continued lines joined by a blank.
    pub(super) value: String,
    /// The line on which it begins, counted from 1.
    pub(super) line: usize,
}

/// The assignments of a file, in order, and the lines that are none.
pub(super) fn parse(text: &str) -> (Vec<Assignment<'_>>, Vec<usize>) {
    let (mut assignments, mut wrong) = (Vec::new(), Vec::new());
    let mut section = "";
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if is_comment(line) || line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            wrong.push(number);
            continue;
        };
        assignments.push(Assignment {
            section,
            key: key.trim(),
            value: joined(value.trim(), &mut lines),
            line: number,
        });
    }
    (assignments, wrong)
}

/// A value with the lines that continue it. Comments between them are skipped, and end nothing.
fn joined<'a>(first: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> String {
    let mut value = first.to_owned();
    while let Some(open) = value.strip_suffix('\\') {
        value = open.trim_end().to_owned();
        let Some((_, next)) = lines.find(|(_, line)| !is_comment(line.trim())) else {
            break;
        };
        value.push(' ');
        value.push_str(next.trim());
    }
    value
}

fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_comments_and_continued_lines_are_read_as_systemd_does() {
        let text = "# x\n[Service]\nA = 1 2 \n; y\nB=one \\\n# in between\n  two\\\n\nC=\nnonsense\n[Install]\nD==x\n";
        let (assignments, wrong) = parse(text);
        let shown: Vec<_> = assignments
            .iter()
            .map(|a| (a.section, a.key, a.value.as_str(), a.line))
            .collect();
        assert_eq!(
            shown,
            [
                ("Service", "A", "1 2", 3),
                ("Service", "B", "one two ", 5),
                ("Service", "C", "", 9),
                ("Install", "D", "=x", 12),
            ]
        );
        assert_eq!(wrong, [10]);
    }

    #[test]
    fn a_backslash_at_the_end_of_the_file_continues_nothing() {
        assert_eq!(parse("[Service]\nA=1 \\").0[0].value, "1");
    }
}
