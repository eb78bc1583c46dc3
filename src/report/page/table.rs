//! Tables, and the figures in them: each says what it is for people, its exact value, and where the JSON report has it.

use super::markup::Markup;
use super::plot::Unit;
use crate::measure::Reading;

/// What stands in a place of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    /// The place in the JSON report (RFC 6901), and the value that stands there.
    json: Option<(String, String)>,
    number: bool,
    /// What stands behind it in the same place.
    more: Vec<Cell>,
}

impl Cell {
    /// Words that are no part of the JSON report.
    pub fn words(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), json: None, number: false, more: Vec::new() }
    }

    /// Where there is nothing to be said.
    pub fn nothing() -> Cell {
        Cell { number: true, ..Cell::words("-") }
    }

    /// With another one behind it.
    pub fn and(mut self, other: Cell) -> Cell {
        self.more.push(other);
        self
    }

    /// As people read it, without what stands behind.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Characters of all of it.
    fn length(&self) -> usize {
        self.text.chars().count() + self.more.iter().map(|cell| 1 + cell.length()).sum::<usize>()
    }

    /// Writes it where text may stand.
    pub fn write(&self, out: &mut Markup) {
        match &self.json {
            Some((place, value)) => out.element("data", &[("value", value), ("data-json", place)], &self.text),
            None => out.text(&self.text),
        };
        for cell in &self.more {
            out.text(" ");
            cell.write(out);
        }
    }
}

/// A number that is drawn, and the cell that says it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The number.
    pub number: f64,
    /// The same in a table.
    pub cell: Cell,
}

/// A number of a report.
pub trait Number: Copy {
    /// For drawing.
    fn as_f64(self) -> f64;
    /// As JSON has it.
    fn exact(self) -> String;
}

impl Number for f64 {
    fn as_f64(self) -> f64 {
        self
    }

    fn exact(self) -> String {
        // The shortest text that is read back as the same number, as in the JSON report.
        self.to_string()
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn as_f64(self) -> f64 {
                self as f64
            }

            fn exact(self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_numbers!(u32, u64, usize);

/// A place in the JSON report.
#[derive(Clone, Debug)]
pub struct At(String);

impl At {
    /// The report itself.
    pub fn root() -> At {
        At(String::new())
    }

    /// A place below: names and positions, joined by `/`.
    pub fn under(&self, path: impl std::fmt::Display) -> At {
        At(format!("{}/{path}", self.0))
    }

    /// A number there.
    pub fn figure(&self, path: &str, number: impl Number, unit: Unit) -> Figure {
        let text = unit.text(number.as_f64());
        Figure { number: number.as_f64(), cell: self.exact(path, number, text) }
    }

    /// A number there, in the words of whoever calls.
    pub fn exact(&self, path: &str, number: impl Number, text: String) -> Cell {
        Cell { json: Some((self.under(path).0, number.exact())), number: true, ..Cell::words(text) }
    }

    /// A whole number there.
    pub fn count(&self, path: &str, number: impl Number) -> Cell {
        self.figure(path, number, Unit::Count).cell
    }

    /// Words there.
    pub fn words(&self, path: &str, text: &str) -> Cell {
        Cell { json: Some((self.under(path).0, text.to_string())), ..Cell::words(text) }
    }

    /// Words there, in other words of whoever calls.
    pub fn said(&self, path: &str, exact: &str, text: &str) -> Cell {
        Cell { text: text.to_string(), ..self.words(path, exact) }
    }

    /// Yes or no there.
    pub fn yes(&self, path: &str, yes: bool) -> Cell {
        Cell { json: Some((self.under(path).0, yes.to_string())), ..Cell::words(if yes { "yes" } else { "no" }) }
    }

    /// A reading there, or the reason why there is none.
    pub fn reading(&self, path: &str, reading: &Reading, unit: Unit) -> Cell {
        let at = self.under(path);
        match reading {
            Reading::Value(value) => at.figure("value", *value, unit).cell,
            Reading::Unavailable(reason) => {
                Cell { text: format!("unavailable: {reason}"), ..at.words("unavailable", reason) }
            }
        }
    }
}

/// Words that are longer than this get room.
const LONG: usize = 40;

/// Rows of cells. The first cell of a row is its heading.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it holds.
    pub caption: String,
    /// Headings of the columns.
    pub head: Vec<String>,
    /// Rows, each with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty one.
    pub fn new<T: Into<String>>(caption: impl Into<String>, head: impl IntoIterator<Item = T>) -> Table {
        Table { caption: caption.into(), head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Writes it, in a frame of its own that scrolls where it is wider than the screen.
    ///
    /// # Panics
    /// If a row is longer or shorter than the head.
    pub fn write(&self, out: &mut Markup) {
        for row in &self.rows {
            assert_eq!(row.len(), self.head.len(), "{}: a row of the head's length", self.caption);
        }
        let numbers: Vec<bool> = (0..self.head.len()).map(|column| self.is_numbers(column)).collect();
        let class = |numbers: bool| if numbers { "n" } else { "w" };
        // Long words are broken into lines, and so is what stands behind a number.
        let cell_class = |column: usize, cell: &Cell| match (numbers[column], cell.number && cell.more.is_empty()) {
            (true, number) => {
                if number {
                    "n"
                } else if cell.length() > LONG {
                    "r long"
                } else {
                    "r"
                }
            }
            (false, false) if cell.length() > LONG => "long",
            (false, _) => "w",
        };
        out.open("div", &[("class", "scroll"), ("role", "region"), ("tabindex", "0"), ("aria-label", &self.caption)]);
        out.open("table", &[]).element("caption", &[], &self.caption);
        out.open("thead", &[]).open("tr", &[]);
        for (name, &numbers) in self.head.iter().zip(&numbers) {
            out.element("th", &[("scope", "col"), ("class", class(numbers))], name);
        }
        out.close().close().open("tbody", &[]);
        for row in &self.rows {
            out.open("tr", &[]);
            for (at, cell) in row.iter().enumerate() {
                if at == 0 {
                    out.open("th", &[("scope", "row"), ("class", cell_class(at, cell))]);
                } else {
                    out.open("td", &[("class", cell_class(at, cell))]);
                }
                cell.write(out);
                out.close();
            }
            out.close();
        }
        out.close().close().close();
    }

    /// The same, folded away until it is asked for.
    pub fn write_folded(&self, summary: &str, out: &mut Markup) {
        out.open("details", &[]).element("summary", &[], summary);
        self.write(out);
        out.close();
    }

    /// Whether most of a column are numbers.
    fn is_numbers(&self, column: usize) -> bool {
        2 * self.rows.iter().filter(|row| row[column].number).count() > self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_its_value_and_its_place() {
        let at = At::root().under("scenarios/0");
        let mut out = Markup::new();
        at.figure("ops_per_second", 12_345_678.5, Unit::Rate).cell.write(&mut out);
        at.reading("peak", &Reading::Unavailable("<none>".into()), Unit::Count).write(&mut out);
        assert_eq!(
            out.finish(),
            "<data value=\"12345678.5\" data-json=\"/scenarios/0/ops_per_second\">12.3 M/s</data>\
             <data value=\"&lt;none&gt;\" data-json=\"/scenarios/0/peak/unavailable\">unavailable: &lt;none&gt;</data>"
        );
    }

    #[test]
    fn rows_have_headings_and_numbers_stand_right() {
        let mut table = Table::new("Things", ["name", "how many", "note"]);
        table.rows.push(vec![Cell::words("a"), At::root().count("a", 1_234u64), Cell::words("x")]);
        table.rows.push(vec![Cell::words("b"), Cell::nothing(), Cell::words("y")]);
        let mut out = Markup::new();
        table.write(&mut out);
        let html = out.finish();
        for wanted in [
            "<caption>Things</caption>",
            "<th scope=\"col\" class=\"n\">how many</th>",
            "<th scope=\"row\" class=\"w\">b</th>",
            "<td class=\"n\">-</td>",
            ">1,234</data>",
        ] {
            assert!(html.contains(wanted), "{wanted}: {html}");
        }
    }

    #[test]
    #[should_panic(expected = "Things: a row of the head's length")]
    fn a_short_row_is_a_bug() {
        let mut table = Table::new("Things", ["name", "how many"]);
        table.rows.push(vec![Cell::words("a")]);
        table.write(&mut Markup::new());
    }
}
