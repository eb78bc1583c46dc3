//! Lines: values of several series against another value.

use super::super::table::{Cell, Figure, Table};
use super::scale::{Division, Scale, ScaleError};
use super::sheet::{Anchor, Sheet};
use super::{Picture, Unit, axis};

/// Series of values against another value.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What the table holds.
    pub caption: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What stands on it: words for the picture, and a heading of the table.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// How it is divided.
    pub division: Division,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Colour, mark and dash.
    pub style: usize,
    /// Its points in the order of the line.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Debug)]
pub struct Point {
    /// Place from left to right.
    pub x: Figure,
    /// Place from bottom to top.
    pub y: Figure,
}

/// More points than this on a line have marks on some of them only.
const MARKS: usize = 30;

impl Lines {
    fn points(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|series| &series.points)
    }
}

impl Picture for Lines {
    fn description(&self) -> String {
        let mut text = format!("Lines, {} against {}.", self.y.name, self.x.name);
        if self.y.division == Division::Log {
            text.push_str(" Equal steps upwards are equal ratios.");
        }
        for series in &self.series {
            let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else {
                text.push_str(&format!(" {}: no points.", series.name));
                continue;
            };
            let said = |point: &Point| format!("{} at {}", point.y.cell.text(), point.x.cell.text());
            text.push_str(&format!(" {}: from {} to {}", series.name, said(first), said(last)));
            let order = |a: &&Point, b: &&Point| a.y.number.total_cmp(&b.y.number);
            let (least, most) = (series.points.iter().min_by(order), series.points.iter().max_by(order));
            let inner = |point: &&Point| ![first.y.number, last.y.number].contains(&point.y.number);
            if let Some(least) = least.filter(inner) {
                text.push_str(&format!(", least {}", said(least)));
            }
            if let Some(most) = most.filter(inner) {
                text.push_str(&format!(", most {}", said(most)));
            }
            text.push('.');
        }
        text
    }

    fn draw(&self, sheet: &mut Sheet) -> Result<(), ScaleError> {
        let names: Vec<(usize, String)> =
            self.series.iter().map(|series| (series.style, series.name.clone())).collect();
        let below_names = sheet.key(&names, [0.0, 10.0], 36.0, |sheet, [x, y], style| {
            sheet.path(&[[x, y], [x + 30.0, y]], style);
            sheet.mark([x + 15.0, y], style);
        });
        sheet.text([0.0, below_names + 10.0], Anchor::Start, "soft", &format!("\u{2191} {}", self.y.name));
        let top = below_names + 24.0;
        let bottom = top + if sheet.is_wide() { 300.0 } else { 230.0 };
        let numbers = |of: fn(&Point) -> f64| self.points().map(of);
        let y = Scale::over(self.y.division, numbers(|point| point.y.number), bottom, top)?;
        let left = axis::room(sheet, &y, self.y.unit);
        let x = Scale::over(self.x.division, numbers(|point| point.x.number), left, sheet.width - 8.0)?;
        axis::along_y(sheet, &y, self.y.unit, left)?;
        axis::along_x(sheet, &x, self.x.unit, top, bottom)?;
        let below = bottom + axis::BELOW;
        sheet.text([sheet.width, below + 14.0], Anchor::End, "soft", &format!("{} \u{2192}", self.x.name));
        sheet.grow(below + 20.0);
        for series in &self.series {
            let place = |point: &Point| Ok([x.at(point.x.number)?, y.at(point.y.number)?]);
            let places: Vec<[f64; 2]> = series.points.iter().map(place).collect::<Result<_, ScaleError>>()?;
            sheet.path(&places, series.style);
            for place in places.iter().step_by(places.len().div_ceil(MARKS).max(1)) {
                sheet.mark(*place, series.style);
            }
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(self.caption.clone(), [&self.x.name]);
        table.head.extend(self.series.iter().map(|series| series.name.clone()));
        // A row for each x that any series has, in ascending order.
        let mut rows: Vec<&Figure> = self.points().map(|point| &point.x).collect();
        rows.sort_by(|a, b| a.number.total_cmp(&b.number));
        rows.dedup_by(|a, b| a.number == b.number);
        for x in rows {
            let cell = |series: &Series| {
                let point = series.points.iter().find(|point| point.x.number == x.number);
                point.map_or_else(Cell::nothing, |point| point.y.cell.clone())
            };
            let mut row = vec![x.cell.clone()];
            row.extend(self.series.iter().map(cell));
            table.rows.push(row);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::At;
    use super::*;

    fn lines(series: &[&[(f64, f64)]]) -> Lines {
        let figure = |number: f64, unit| At::root().figure("x", number, unit);
        let point = |&(x, y): &(f64, f64)| Point { x: figure(x, Unit::Count), y: figure(y, Unit::Nanoseconds) };
        let one = |(style, points): (usize, &&[(f64, f64)])| Series {
            name: format!("series {style}"),
            style,
            points: points.iter().map(point).collect(),
        };
        Lines {
            caption: "Numbers".into(),
            x: Axis { name: "load".into(), unit: Unit::Count, division: Division::Linear },
            y: Axis { name: "latency".into(), unit: Unit::Nanoseconds, division: Division::Log },
            series: series.iter().enumerate().map(one).collect(),
        }
    }

    #[test]
    fn points_stand_at_their_values() {
        let lines = lines(&[&[(0.0, 10.0), (5.0, 100.0), (10.0, 1_000.0)]]);
        for width in [328.0, 912.0] {
            let mut sheet = Sheet::new(width);
            lines.draw(&mut sheet).unwrap();
            let svg = sheet.finish().1.finish();
            // The first path is the key's.
            let path = svg.split(" d=\"M").nth(2).unwrap().split('"').next().unwrap();
            let numbers: Vec<f64> = path.split(['L', ' ']).map(|number| number.parse().unwrap()).collect();
            let [x0, y0, x1, y1, x2, y2] = numbers[..] else { panic!("{path}") };
            assert!((x1 - x0 - (x2 - x1)).abs() < 0.3 && x2 > x1 && x2 <= width, "{path}");
            assert!((y0 - y1 - (y1 - y2)).abs() < 0.3 && y2 < y1, "equal ratios, equal steps: {path}");
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_x_of_any_series() {
        let table = lines(&[&[(1.0, 10.0), (3.0, 30.0)], &[(3.0, 5.0), (2.0, 4.0)]]).table();
        assert_eq!(table.head, ["load", "series 0", "series 1"]);
        let rows: Vec<Vec<&str>> = table.rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect();
        assert_eq!(rows, [["1", "10.0 ns", "-"], ["2", "-", "4.00 ns"], ["3", "30.0 ns", "5.00 ns"]]);
    }

    #[test]
    fn words_name_ends_and_extremes() {
        let text = lines(&[&[(1.0, 10.0), (2.0, 90.0), (3.0, 30.0)], &[]]).description();
        assert_eq!(
            text,
            "Lines, latency against load. Equal steps upwards are equal ratios. series 0: from 10.0 ns at 1 to 30.0 ns at 3, most \
             90.0 ns at 2. series 1: no points."
        );
    }

    #[test]
    fn no_points_and_no_number_are_refused() {
        assert_eq!(lines(&[&[]]).draw(&mut Sheet::new(328.0)), Err(ScaleError::Empty));
        let nan = lines(&[&[(1.0, 1.0), (2.0, f64::NAN)]]).draw(&mut Sheet::new(328.0));
        assert!(matches!(nan, Err(ScaleError::NotFinite(_))));
        assert!(lines(&[&[(1.0, 1.0)]]).draw(&mut Sheet::new(328.0)).is_ok(), "one point is a picture");
    }
}
