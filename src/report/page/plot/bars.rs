//! Bars, or points with their intervals, in groups: one value for each of a few names.

use super::super::table::{Cell, Figure, Table};
use super::axis;
use super::scale::{Division, Scale, ScaleError};
use super::sheet::{Anchor, Sheet, style_class};
use super::{Picture, Unit};

/// Bars that lie on each other.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What the table holds.
    pub caption: String,
    /// What the groups, the bars and the values are: headings of the table's first columns.
    pub heads: [String; 3],
    /// Unit of the values.
    pub unit: Unit,
    /// How the axis is divided. A bar on a logarithmic one begins at the axis's first power of ten.
    pub division: Division,
    /// What the ranges go from and to, if there are any: headings of the table.
    pub range: Option<[String; 2]>,
    /// Points, not bars: for values that have no natural beginning.
    pub points: bool,
    /// A value to compare with, which gets a line.
    pub reference: Option<f64>,
    /// Headings of the table's other columns.
    pub more: Vec<String>,
    /// The groups, from top to bottom.
    pub groups: Vec<Group>,
}

/// A group of bars.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: Cell,
    /// Its bars.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: Cell,
    /// Colour and mark.
    pub style: usize,
    /// Its length.
    pub value: Figure,
    /// A range about it; each bar has one or none has.
    pub range: Option<[Figure; 2]>,
    /// Cells of the table's other columns.
    pub more: Vec<Cell>,
}

const HEADING: f64 = 26.0;
const WIDE_ROW: f64 = 25.0;
const NARROW_ROW: f64 = 36.0;

impl Bars {
    fn all(&self) -> impl Iterator<Item = &Bar> {
        self.groups.iter().flat_map(|group| &group.bars)
    }

    fn scale(&self, from: f64, to: f64) -> Result<Scale, ScaleError> {
        let ends =
            self.all().flat_map(|bar| bar.range.iter().flatten().chain([&bar.value]).map(|figure| figure.number));
        Scale::over(self.division, ends.chain(self.reference), from, to)
    }

    fn bar(&self, sheet: &mut Sheet, scale: &Scale, bar: &Bar, y: f64) -> Result<f64, ScaleError> {
        let end = scale.at(bar.value.number)?;
        let class = style_class(bar.style);
        if !self.points {
            let start = if self.division == Division::Linear { scale.at(0.0)? } else { scale.start() };
            sheet.rect([start, y - 7.0], [end, y + 7.0], &format!("fill {class}"));
        }
        let mut right = end;
        if let Some([low, high]) = &bar.range {
            let (low, high) = (scale.at(low.number)?, scale.at(high.number)?);
            let line = if self.points { format!("stroke {class}") } else { "range".to_string() };
            sheet.line([low, y], [high, y], &line);
            sheet.line([low, y - 4.0], [low, y + 4.0], &line);
            sheet.line([high, y - 4.0], [high, y + 4.0], &line);
            right = right.max(high);
        }
        if self.points {
            sheet.mark([end, y], bar.style);
        }
        Ok(right)
    }

    /// The mark beside a bar's name; a point has its own.
    fn key(&self, sheet: &mut Sheet, place: [f64; 2], bar: &Bar) {
        if !self.points {
            sheet.mark(place, bar.style);
        }
    }

    fn label(&self, bar: &Bar) -> String {
        match &bar.range {
            Some([low, high]) if self.points => {
                format!("{} ({} to {})", bar.value.cell.text(), low.cell.text(), high.cell.text())
            }
            _ => bar.value.cell.text().to_string(),
        }
    }
}

impl Picture for Bars {
    fn description(&self) -> String {
        let [_, _, value] = &self.heads;
        let scale = if self.division == Division::Log { ", on a logarithmic scale" } else { "" };
        let mut text = format!("{}{scale}, {value}.", if self.points { "Points with intervals" } else { "Bars" });
        for group in &self.groups {
            let bars: Vec<String> =
                group.bars.iter().map(|bar| format!("{} {}", bar.name.text(), self.label(bar))).collect();
            text.push_str(&format!(" {}: {}.", group.name.text(), bars.join(", ")));
        }
        text
    }

    fn draw(&self, sheet: &mut Sheet) -> Result<(), ScaleError> {
        let wide = sheet.is_wide();
        let names = self.all().map(|bar| sheet.text_width(bar.name.text()));
        let left = if wide { names.fold(0.0, f64::max) + 30.0 } else { 0.0 };
        let labels = self.all().map(|bar| sheet.text_width(&self.label(bar)));
        // A narrow picture has names and values above the bars, and an axis from side to side.
        let right = if wide { labels.fold(0.0, f64::max) + 14.0 } else { 6.0 };
        let scale = self.scale(left.max(6.0), sheet.width - right)?;
        let rows = self.all().count() as f64 * if wide { WIDE_ROW } else { NARROW_ROW };
        let headed = self.groups.len() > 1;
        let top = if headed { HEADING } else { 2.0 };
        let bottom = rows + if headed { HEADING * self.groups.len() as f64 } else { 2.0 } + 4.0;
        axis::along_x(sheet, &scale, self.unit, top, bottom)?;
        let mut y = if headed { 0.0 } else { 2.0 };
        for group in &self.groups {
            if headed {
                sheet.text([0.0, y + 17.0], Anchor::Start, "strong", group.name.text());
                y += HEADING;
            }
            if let Some(reference) = self.reference {
                let x = scale.at(reference)?;
                let height = group.bars.len() as f64 * if wide { WIDE_ROW } else { NARROW_ROW };
                sheet.line([x, y], [x, y + height], "reference");
            }
            for bar in &group.bars {
                if wide {
                    let middle = y + WIDE_ROW / 2.0;
                    self.key(sheet, [8.0, middle], bar);
                    sheet.text([20.0, middle + 4.5], Anchor::Start, "", bar.name.text());
                    let end = self.bar(sheet, &scale, bar, middle)?;
                    sheet.text([end + 8.0, middle + 4.5], Anchor::Start, "value", &self.label(bar));
                    y += WIDE_ROW;
                } else {
                    self.key(sheet, [6.0, y + 8.0], bar);
                    sheet.text([16.0, y + 12.0], Anchor::Start, "", bar.name.text());
                    sheet.text([sheet.width, y + 12.0], Anchor::End, "value", &self.label(bar));
                    self.bar(sheet, &scale, bar, y + 24.0)?;
                    y += NARROW_ROW;
                }
            }
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let heads = self.heads.iter().chain(self.range.iter().flatten()).chain(&self.more).cloned();
        let mut table = Table::new(self.caption.clone(), heads);
        for group in &self.groups {
            for bar in &group.bars {
                let mut row = vec![group.name.clone(), bar.name.clone(), bar.value.cell.clone()];
                row.extend(bar.range.iter().flatten().map(|end| end.cell.clone()));
                row.extend(bar.more.iter().cloned());
                table.rows.push(row);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::At;
    use super::*;

    fn bars(values: &[f64], division: Division) -> Bars {
        let figure = |number: f64| At::root().figure("x", number, Unit::Rate);
        let bar = |(style, &number): (usize, &f64)| Bar {
            name: Cell::words(format!("name {style}")),
            style,
            value: figure(number),
            range: Some([figure(0.9 * number), figure(1.1 * number)]),
            more: Vec::new(),
        };
        Bars {
            caption: "Speed".into(),
            heads: ["group", "name", "speed"].map(String::from),
            unit: Unit::Rate,
            division,
            range: Some(["low", "high"].map(String::from)),
            points: false,
            reference: None,
            more: Vec::new(),
            groups: vec![Group { name: Cell::words("all"), bars: values.iter().enumerate().map(bar).collect() }],
        }
    }

    /// Widths of the boxes.
    fn widths(bars: &Bars, width: f64) -> Vec<f64> {
        let mut sheet = Sheet::new(width);
        bars.draw(&mut sheet).unwrap();
        let svg = sheet.finish().1.finish();
        let parts = svg.split("<rect ").skip(1);
        parts.map(|rect| rect.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        for width in [328.0, 912.0] {
            let linear = widths(&bars(&[100.0, 200.0, 400.0], Division::Linear), width);
            assert!(
                (linear[1] / linear[0] - 2.0).abs() < 0.01 && (linear[2] / linear[0] - 4.0).abs() < 0.02,
                "{linear:?}"
            );
            let log = widths(&bars(&[10.0, 100.0, 1_000.0], Division::Log), width);
            assert!((log[2] - 2.0 * log[1] + log[0]).abs() < 0.3, "equal ratios, equal steps: {log:?}");
        }
    }

    #[test]
    fn a_zero_cannot_be_drawn_on_a_logarithmic_axis() {
        let drawn = bars(&[0.0, 1.0], Division::Log).draw(&mut Sheet::new(328.0));
        assert_eq!(drawn, Err(ScaleError::NotPositive(0.0)));
        assert!(bars(&[0.0, 0.0], Division::Linear).draw(&mut Sheet::new(328.0)).is_ok());
        assert_eq!(bars(&[], Division::Log).draw(&mut Sheet::new(328.0)), Err(ScaleError::Empty));
    }

    #[test]
    fn words_and_table_have_every_value() {
        let bars = bars(&[1e6, 2e6], Division::Log);
        assert_eq!(bars.description(), "Bars, on a logarithmic scale, speed. all: name 0 1.00 M/s, name 1 2.00 M/s.");
        let table = bars.table();
        assert_eq!(table.head, ["group", "name", "speed", "low", "high"]);
        let row: Vec<&str> = table.rows[1].iter().map(Cell::text).collect();
        assert_eq!(row, ["all", "name 1", "2.00 M/s", "1.80 M/s", "2.20 M/s"]);
    }
}
