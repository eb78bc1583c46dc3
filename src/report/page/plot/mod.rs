//! Pictures of figures as inline SVG. Each is described by what it shows, and gives three things of the same numbers: the picture,
//! its description in words, and a table.
//!
//! A picture is drawn twice, for a narrow screen and for a wide one, and the style sheet shows one of them: scaled text cannot be
//! read. Colour is never the only sign: series have marks and dashes too, and bars and parts have their names beside them.

mod axis;
mod bars;
mod lines;
mod quantiles;
mod scale;
mod shares;
mod sheet;
mod waterfall;

pub use bars::{Bar, Bars, Group};
pub use lines::{Axis, Lines, Point, Series};
pub use quantiles::quantiles;
pub use scale::{Division, ScaleError};
pub use shares::{Part, Shares, Whole};
pub use waterfall::{Step, Waterfall};

use super::markup::Markup;
use super::table::Table;
use crate::report::format::{count, duration_ns, rate, three_digits, times};
use sheet::Sheet;

/// What a number is of, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Something a second.
    Rate,
    /// A duration in ns.
    Nanoseconds,
    /// A duration in seconds.
    Seconds,
    /// A ratio.
    Times,
    /// A part of a whole.
    Share,
    /// The part of a distribution that is not above.
    Quantile,
    /// A whole number.
    Count,
    /// Memory of a process or an engine.
    Mebibytes,
    /// Memory of one of many.
    Kibibytes,
    /// Memory of the least things.
    Bytes,
}

impl Unit {
    /// A number of this unit.
    pub fn text(self, number: f64) -> String {
        match self {
            Unit::Rate => rate(number),
            Unit::Nanoseconds => duration_ns(number),
            Unit::Seconds => duration_ns(1e9 * number),
            Unit::Times => times(number),
            // Not "-0.0 %", which a sampled share may come to.
            Unit::Share if number.abs() < 0.000_5 => "0.0 %".to_string(),
            Unit::Share => format!("{:.1} %", 100.0 * number),
            // As many digits as tell it from the next: 99.9 %, 99.94 %.
            Unit::Quantile => {
                let above = 100.0 * (1.0 - number);
                let digits = (1.0 - above.log10().floor()).clamp(1.0, 12.0);
                let text = format!("{:.*}", digits as usize, 100.0 * number);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                format!("{text} %")
            }
            Unit::Count => count(number.round() as u64),
            Unit::Mebibytes => format!("{} MiB", three_digits(number)),
            Unit::Kibibytes => format!("{} KiB", three_digits(number)),
            Unit::Bytes => format!("{number:.0} B"),
        }
    }

    /// The same on an axis: without digits that say nothing.
    fn tick(self, number: f64) -> String {
        // Nobody measures nothing in ns on an axis of seconds.
        if number == 0.0 && matches!(self, Unit::Nanoseconds | Unit::Seconds) {
            return "0".to_string();
        }
        let text = self.text(number);
        let Some((digits, rest)) = text.split_once('.') else { return text };
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let decimals = rest[..rest.len() - unit.len()].trim_end_matches('0');
        if decimals.is_empty() { format!("{digits}{unit}") } else { format!("{digits}.{decimals}{unit}") }
    }
}

/// Something to be drawn.
pub trait Picture {
    /// What it shows, in a few sentences.
    fn description(&self) -> String;

    /// Draws it.
    ///
    /// # Errors
    /// A number has no place on its scale.
    fn draw(&self, sheet: &mut Sheet) -> Result<(), ScaleError>;

    /// Its numbers.
    fn table(&self) -> Table;
}

/// Widths in which a picture is drawn, with the class that the style sheet knows: a phone of 360 px, and a desktop.
const WIDTHS: [(&str, f64); 2] = [("narrow", 328.0), ("wide", 912.0)];

/// Writes a figure: title, picture and table. `id` is unique on the page. What cannot be drawn says why, and has its table.
pub fn write_figure(id: &str, title: &str, picture: &dyn Picture, out: &mut Markup) {
    out.open("figure", &[("id", id)]).element("figcaption", &[], title);
    for (class, width) in WIDTHS {
        let mut sheet = Sheet::new(width);
        if let Err(error) = picture.draw(&mut sheet) {
            out.element("p", &[("class", "note")], &format!("There is no picture: {error}."));
            break;
        }
        let (title_id, description_id) = (format!("{id}-{class}-title"), format!("{id}-{class}-desc"));
        let (height, body) = sheet.finish();
        out.open(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg"),
                ("class", class),
                ("role", "img"),
                ("viewBox", &format!("0 0 {width} {height}")),
                ("aria-labelledby", &format!("{title_id} {description_id}")),
            ],
        );
        out.element("title", &[("id", &title_id)], title);
        out.element("desc", &[("id", &description_id)], &picture.description());
        out.append(body).close();
    }
    let table = picture.table();
    table.write_folded(&format!("Table: {}", table.caption), out);
    out.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_by_their_unit() {
        assert_eq!(Unit::Rate.text(1.5e6), "1.50 M/s");
        assert_eq!(Unit::Seconds.text(0.25), "250 ms");
        assert_eq!([0.123_4, -0.000_4, -0.01].map(|share| Unit::Share.text(share)), ["12.3 %", "0.0 %", "-1.0 %"]);
        assert_eq!(Unit::Mebibytes.text(12.34), "12.3 MiB");
        let quantiles =
            [0.0, 0.5, 0.437_65, 0.9, 0.99, 0.994_376_6, 0.999, 0.999_9, 0.999_999].map(|q| Unit::Quantile.text(q));
        assert_eq!(quantiles, ["0 %", "50 %", "43.8 %", "90 %", "99 %", "99.44 %", "99.9 %", "99.99 %", "99.9999 %"]);
    }

    #[test]
    fn ticks_have_no_idle_digits() {
        let ticks = [(Unit::Rate, 1e6), (Unit::Nanoseconds, 200.0), (Unit::Times, 0.5), (Unit::Nanoseconds, 2_500.0)];
        assert_eq!(ticks.map(|(unit, at)| unit.tick(at)), ["1 M/s", "200 ns", "0.5x", "2.5 us"]);
        assert_eq!([Unit::Seconds, Unit::Rate].map(|unit| unit.tick(0.0)), ["0", "0/s"]);
    }

    struct Undrawable;

    impl Picture for Undrawable {
        fn description(&self) -> String {
            unreachable!("nothing is drawn")
        }

        fn draw(&self, _: &mut Sheet) -> Result<(), ScaleError> {
            Err(ScaleError::NotPositive(0.0))
        }

        fn table(&self) -> Table {
            Table::new("Numbers", ["one"])
        }
    }

    #[test]
    fn what_cannot_be_drawn_says_why_and_keeps_its_table() {
        let mut out = Markup::new();
        write_figure("f", "Title", &Undrawable, &mut out);
        let html = out.finish();
        assert!(html.contains("There is no picture: 0 has no place on a logarithmic scale"), "{html}");
        assert!(html.contains("Table: Numbers") && !html.contains("<svg"), "{html}");
    }
}
