//! Words of a value, by systemd's rules for quotes and escapes (systemd.syntax "Quoting"), and its specifiers.

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordError {
    #[error("a quotation mark is not closed; systemd ignores such a line")]
    Open,
    #[error(
        "an escape sequence is none that systemd knows (\\n, \\x41, …), so it ignores the line; write \\\\ for a backslash"
    )]
    Escape,
    #[error("%{0} depends on the host or on systemd, which is not here; write what it stands for")]
    Specifier(char),
}

/// The words of `value`, without quotes and escapes.
pub(super) fn split(value: &str) -> Result<Vec<String>, WordError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, c) if c.is_ascii_whitespace() => words.extend(word.take()),
            (_, '\\') => word.get_or_insert_default().push(escape(&mut rest)?),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() {
        Err(WordError::Open)
    } else {
        Ok(words)
    }
}

fn escape(rest: &mut std::str::Chars<'_>) -> Result<char, WordError> {
    let c = rest.next().ok_or(WordError::Escape)?;
    let mut digits = |count: usize, radix: u32, first: Option<char>| {
        let text: String = first.into_iter().chain(rest.by_ref().take(count)).collect();
        let code = u32::from_str_radix(&text, radix).ok().filter(|code| *code != 0);
        let whole = text.len() == count + usize::from(first.is_some());
        code.filter(|_| whole)
            .and_then(char::from_u32)
            .ok_or(WordError::Escape)
    };
    match c {
        'a' => Ok('\u{7}'),
        'b' => Ok('\u{8}'),
        'f' => Ok('\u{c}'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\u{b}'),
        's' => Ok(' '),
        '\\' | '"' | '\'' => Ok(c),
        'x' => digits(2, 16, None),
        'u' => digits(4, 16, None),
        'U' => digits(8, 16, None),
        '0'..='7' => digits(2, 8, Some(c)),
        _ => Err(WordError::Escape),
    }
}

/// `word` with its specifiers replaced, as far as the unit's name answers them. `unit` is like `agent@report.service`.
pub(super) fn expand(word: &str, unit: &str) -> Result<String, WordError> {
    let (name, _) = unit.rsplit_once('.').unwrap_or((unit, ""));
    let (prefix, instance) = name.split_once('@').unwrap_or((name, ""));
    let mut expanded = String::with_capacity(word.len());
    let mut rest = word.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        match rest.next() {
            None | Some('%') => expanded.push('%'),
            Some('n') => expanded.push_str(unit),
            Some('N') => expanded.push_str(name),
            Some('p') => expanded.push_str(prefix),
            // The unescaped forms are the same while there is nothing escaped in them.
            Some('P') if !prefix.contains(['-', '\\']) => expanded.push_str(prefix),
            Some('i') => expanded.push_str(instance),
            Some('I') if !instance.contains(['-', '\\']) => expanded.push_str(instance),
            Some(other) => return Err(WordError::Specifier(other)),
        }
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_systemd_does() {
        for (value, words) in [
            ("A=1 B=2", vec!["A=1", "B=2"]),
            ("\"A=one two\" 'B=x \"y\"'", vec!["A=one two", "B=x \"y\""]),
            ("A=\"one two\"  B=", vec!["A=one two", "B="]),
            ("\"\" x", vec!["", "x"]),
            ("A=\\x41\\101\\u00e9\\s\\\\", vec!["A=AAé \\"]),
            ("  ", vec![]),
        ] {
            assert_eq!(
                split(value).as_deref(),
                Ok(words
                    .as_slice()
                    .iter()
                    .map(|w| (*w).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice()),
                "{value}"
            );
        }
        assert_eq!(split("\"A=1"), Err(WordError::Open));
        for value in ["A=\\q", "A=\\x4", "A=\\x00", "A=\\"] {
            assert_eq!(split(value), Err(WordError::Escape), "{value}");
        }
    }

    #[test]
    fn specifiers_are_replaced_where_the_name_answers_them() {
        let unit = "waldur-agent@report.service";
        for (word, expanded) in [
            ("%i", "report"),
            ("%p-%I", "waldur-agent-report"),
            ("50%%", "50%"),
            ("%n", unit),
            ("5%", "5%"),
        ] {
            assert_eq!(expand(word, unit).as_deref(), Ok(expanded), "{word}");
        }
        assert_eq!(expand("%H", unit), Err(WordError::Specifier('H')));
        assert_eq!(expand("%i", "plain.service").as_deref(), Ok(""));
    }
}
