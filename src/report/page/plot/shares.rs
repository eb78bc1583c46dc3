//! Shares of wholes: one bar a whole, its parts beside each other in their order, and below it what they are.

use super::super::table::{Cell, Figure, Table};
use super::Picture;
use super::scale::ScaleError;
use super::sheet::{Anchor, REST_STYLE, Sheet, style_class};
use std::collections::BTreeMap;

/// A share that is rounded to nothing.
const NOTHING: &str = "0.0 %";

/// Wholes and their parts.
#[derive(Clone, Debug)]
pub struct Shares {
    /// What the table holds.
    pub caption: String,
    /// Headings of the table's first columns: a whole's names, a part's name.
    pub heads: Vec<String>,
    /// Headings of its other columns, behind the share.
    pub more: Vec<String>,
    /// The wholes, from top to bottom.
    pub wholes: Vec<Whole>,
}

/// A whole.
#[derive(Clone, Debug)]
pub struct Whole {
    /// What it is, in a line of the picture.
    pub title: String,
    /// How much it is, at the end of that line.
    pub size: String,
    /// The same in cells of the table.
    pub names: Vec<Cell>,
    /// Its parts, in their order.
    pub parts: Vec<Part>,
}

/// A part of a whole.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name. Equal names have equal colours.
    pub name: Cell,
    /// Whether it is what is left of the whole, and so has no colour.
    pub rest: bool,
    /// Its share of the whole. What is below zero, by an error of a sample, has no length.
    pub share: Figure,
    /// Cells of the table's other columns.
    pub more: Vec<Cell>,
}

impl Shares {
    /// A style for each name, by its first appearance.
    fn styles(&self) -> BTreeMap<&str, usize> {
        let mut styles = BTreeMap::new();
        let mut coloured = 0;
        for part in self.wholes.iter().flat_map(|whole| &whole.parts) {
            styles.entry(part.name.text()).or_insert_with(|| {
                coloured += usize::from(!part.rest);
                if part.rest { REST_STYLE } else { (coloured - 1) % REST_STYLE }
            });
        }
        styles
    }
}

impl Picture for Shares {
    fn description(&self) -> String {
        let whole = |whole: &Whole| {
            let part = |part: &Part| format!("{} {}", part.name.text(), part.share.cell.text());
            format!("{}, {}: {}.", whole.title, whole.size, whole.parts.iter().map(part).collect::<Vec<_>>().join(", "))
        };
        let wholes: Vec<String> = self.wholes.iter().map(whole).collect();
        format!("Bars of equal length, divided by shares. {}", wholes.join(" "))
    }

    fn draw(&self, sheet: &mut Sheet) -> Result<(), ScaleError> {
        let styles = self.styles();
        if styles.is_empty() {
            return Err(ScaleError::Empty);
        }
        let mut y = 0.0;
        for whole in &self.wholes {
            let shares = whole.parts.iter().map(|part| part.share.number);
            if let Some(share) = shares.clone().find(|share| !share.is_finite()) {
                return Err(ScaleError::NotFinite(share));
            }
            let sum: f64 = shares.map(|share| share.max(0.0)).sum();
            sheet.text([0.0, y + 14.0], Anchor::Start, "strong", &whole.title);
            sheet.text([sheet.width, y + 14.0], Anchor::End, "value", &whole.size);
            let (top, mut at) = (y + 22.0, 0.0);
            for part in &whole.parts {
                let width = if sum > 0.0 { part.share.number.max(0.0) / sum * sheet.width } else { 0.0 };
                // A line of the background between two, unless that were all of it.
                let gap = if width > 3.0 { 1.0 } else { 0.0 };
                if width > 0.0 {
                    let class = format!("fill {}", style_class(styles[part.name.text()]));
                    sheet.rect([at, top], [at + width - gap, top + 22.0], &class);
                }
                at += width;
            }
            let said =
                |part: &Part| (styles[part.name.text()], format!("{} {}", part.name.text(), part.share.cell.text()));
            // What is rounded to nothing is in the table.
            let seen = whole.parts.iter().filter(|part| part.share.cell.text() != NOTHING);
            let names: Vec<(usize, String)> = seen.map(said).collect();
            y = sheet.key(&names, [0.0, top + 35.0], 15.0, |sheet, [x, y], style| {
                sheet.rect([x, y - 5.0], [x + 10.0, y + 5.0], &format!("fill {}", style_class(style)));
            });
            sheet.grow(y);
            y += 6.0;
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let heads = self.heads.iter().map(String::as_str).chain(["share"]).chain(self.more.iter().map(String::as_str));
        let mut table = Table::new(self.caption.clone(), heads);
        for whole in &self.wholes {
            for part in &whole.parts {
                let own = [part.name.clone(), part.share.cell.clone()];
                table.rows.push([&whole.names[..], &own, &part.more].concat());
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::At;
    use super::super::Unit;
    use super::*;

    fn shares(wholes: &[&[f64]]) -> Shares {
        let part = |(at, &share): (usize, &f64)| Part {
            name: Cell::words(format!("part {at}")),
            rest: at == 2,
            share: At::root().figure("x", share, Unit::Share),
            more: Vec::new(),
        };
        let whole = |parts: &&[f64]| Whole {
            title: "all".into(),
            size: "1 s".into(),
            names: vec![Cell::words("all")],
            parts: parts.iter().enumerate().map(part).collect(),
        };
        Shares {
            caption: "Shares".into(),
            heads: ["whole", "part"].map(String::from).to_vec(),
            more: Vec::new(),
            wholes: wholes.iter().map(whole).collect(),
        }
    }

    #[test]
    fn parts_fill_the_width_and_what_is_below_zero_has_none() {
        let mut sheet = Sheet::new(328.0);
        shares(&[&[0.25, 0.8, -0.05]]).draw(&mut sheet).unwrap();
        let svg = sheet.finish().1.finish();
        let bars: Vec<f64> = svg
            .split("<rect ")
            .filter(|rect| rect.contains("height=\"22\""))
            .map(|rect| rect.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(bars.len(), 2, "{svg}");
        assert!((bars.iter().sum::<f64>() + 2.0 - 328.0).abs() < 0.2, "{bars:?}");
        assert!(svg.contains("part 2 -5.0 %"), "it is said all the same: {svg}");
    }

    #[test]
    fn equal_names_have_equal_colours() {
        let shares = shares(&[&[0.5, 0.5], &[0.1, 0.2, 0.7]]);
        let styles = shares.styles();
        assert_eq!([styles["part 0"], styles["part 1"], styles["part 2"]], [0, 1, REST_STYLE]);
        assert_eq!(shares.table().rows.len(), 5);
    }

    #[test]
    fn no_whole_and_no_number_are_refused() {
        assert_eq!(shares(&[]).draw(&mut Sheet::new(328.0)), Err(ScaleError::Empty));
        assert!(matches!(shares(&[&[f64::NAN]]).draw(&mut Sheet::new(328.0)), Err(ScaleError::NotFinite(_))));
        assert!(shares(&[&[0.0, 0.0]]).draw(&mut Sheet::new(328.0)).is_ok());
    }
}
