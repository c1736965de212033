//! Tables as kubectl prints them: upper-case headings, columns three spaces apart, the last one as long as it is.

use anstyle::Style;
use serde_json::Value;

use crate::output::{HEADING, one_line};

/// Space between columns.
const GAP: usize = 3;

/// One field of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a colour.
    pub(crate) fn styled(text: &str, style: Style) -> Self {
        Self {
            text: one_line(text),
            style,
        }
    }
}

/// The text that a field of an object has; empty when it has none.
pub(super) fn text(value: &Value) -> Cell {
    Cell::from(value.as_str().unwrap_or_default())
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text.as_ref(), Style::new())
    }
}

/// A table.
#[derive(Debug)]
pub(crate) struct Section {
    headings: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Section {
    /// A table with these columns.
    pub(crate) fn new(headings: &'static [&'static str], rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        Self {
            headings,
            rows: rows.into_iter().collect(),
        }
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, with ANSI colours. Columns in which every field is empty are left out.
    pub(crate) fn to_text(&self) -> String {
        let filled = |column: &usize| {
            self.rows
                .iter()
                .any(|row| row.get(*column).is_some_and(|c| !c.text.is_empty()))
        };
        let columns: Vec<_> = (0..self.headings.len()).filter(filled).collect();
        let headings: Vec<_> = self
            .headings
            .iter()
            .map(|heading| Cell::styled(heading, HEADING))
            .collect();
        let lines: Vec<_> = [&headings].into_iter().chain(&self.rows).collect();
        let width = |column: usize| {
            lines
                .iter()
                .map(|line| line[column].text.chars().count())
                .max()
                .unwrap_or(0)
        };
        let mut text = String::new();
        for line in &lines {
            let mut padding = 0;
            for (column, cell) in columns.iter().map(|column| (*column, &line[*column])) {
                if cell.text.is_empty() {
                    padding += width(column) + GAP;
                    continue;
                }
                let Cell { text: content, style } = cell;
                text.extend(std::iter::repeat_n(' ', padding));
                text.extend([
                    style.render().to_string(),
                    content.clone(),
                    style.render_reset().to_string(),
                ]);
                padding = width(column) + GAP - content.chars().count();
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::GOOD;

    #[test]
    fn columns_line_up_empty_ones_are_left_out_and_no_line_ends_in_blanks() {
        let row = |cells: [&str; 4]| cells.map(Cell::from).to_vec();
        let table = Section::new(
            &["NAME", "EMPTY", "MÖDE", "MESSAGE"],
            [
                row(["a", "", "ü", "all is\nwell"]),
                row(["longer-name", "", "orders", ""]),
            ],
        );
        let text = anstream::adapter::strip_str(&table.to_text()).to_string();
        assert_eq!(
            text,
            "NAME          MÖDE     MESSAGE\na             ü        all is\\nwell\nlonger-name   orders\n"
        );
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let table = Section::new(&["A", "B"], [vec![Cell::styled("x", GOOD), Cell::from("y")]]);
        assert!(table.to_text().contains('\u{1b}'));
        assert_eq!(
            anstream::adapter::strip_str(&table.to_text()).to_string(),
            "A   B\nx   y\n"
        );
    }
}
