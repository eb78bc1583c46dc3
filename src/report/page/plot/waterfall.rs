//! A waterfall of factors: from one value to the next, one change at a time, on a logarithmic axis, so that a change that doubles
//! is as long wherever it comes.

use super::super::table::{Cell, Figure, Table};
use super::axis;
use super::scale::{Division, Scale, ScaleError};
use super::sheet::{Anchor, Sheet};
use super::{Picture, Unit};

/// Steps from a first value on.
#[derive(Clone, Debug)]
pub struct Waterfall {
    /// What the table holds.
    pub caption: String,
    /// What the values are.
    pub value: String,
    /// Their unit.
    pub unit: Unit,
    /// The first value, and those after each change.
    pub steps: Vec<Step>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name.
    pub name: Cell,
    /// What changed.
    pub change: Cell,
    /// The value after it.
    pub value: Figure,
    /// The same over the value before.
    pub step: Figure,
    /// The same over the first value.
    pub total: Figure,
}

const WIDE_ROW: f64 = 32.0;
const NARROW_ROW: f64 = 42.0;

impl Picture for Waterfall {
    fn description(&self) -> String {
        let mut text = format!("Waterfall on a logarithmic scale, {}.", self.value);
        for (at, step) in self.steps.iter().enumerate() {
            let (name, value) = (step.name.text(), step.value.cell.text());
            if at == 0 {
                text.push_str(&format!(" It begins with {name}, {value}."));
            } else {
                text.push_str(&format!(" {name}: {}, to {value}.", step.step.cell.text()));
            }
        }
        if let [_, .., last] = &self.steps[..] {
            text.push_str(&format!(" Together: {}.", last.total.cell.text()));
        }
        text
    }

    fn draw(&self, sheet: &mut Sheet) -> Result<(), ScaleError> {
        let wide = sheet.is_wide();
        let row = if wide { WIDE_ROW } else { NARROW_ROW };
        let width_of = |sheet: &Sheet, text: &dyn Fn(&Step) -> String| {
            self.steps.iter().map(|step| sheet.text_width(&text(step))).fold(0.0, f64::max)
        };
        let left = if wide { width_of(sheet, &|step| step.name.text().to_string()) + 14.0 } else { 6.0 };
        let right = if wide { width_of(sheet, &label) + 14.0 } else { 6.0 };
        let values = self.steps.iter().map(|step| step.value.number);
        let scale = Scale::over(Division::Log, values, left, sheet.width - right)?;
        let bottom = row * self.steps.len() as f64 + 4.0;
        axis::along_x(sheet, &scale, self.unit, 0.0, bottom)?;
        let mut before = scale.start();
        for (at, step) in self.steps.iter().enumerate() {
            let (y, end) = (at as f64 * row, scale.at(step.value.number)?);
            let middle = if wide { y + row / 2.0 } else { y + 27.0 };
            let class = match step.step.number {
                _ if at == 0 => "fill first",
                factor if factor < 1.0 => "fill loss",
                _ => "fill gain",
            };
            // A change too small to be seen is seen to be there.
            let seen = if (end - before).abs() < 2.0 { before + 2.0f64.copysign(end - before) } else { end };
            sheet.rect([before, middle - 9.0], [seen, middle + 9.0], class);
            // The end of one change is where the next begins.
            if at + 1 < self.steps.len() {
                sheet.line([end, middle - 9.0], [end, middle + row + 9.0], "connector");
            }
            if wide {
                sheet.text([0.0, middle + 4.5], Anchor::Start, "", step.name.text());
                sheet.text([end.max(before) + 8.0, middle + 4.5], Anchor::Start, "value", &label(step));
            } else {
                sheet.text([0.0, y + 13.0], Anchor::Start, "", step.name.text());
                sheet.text([sheet.width, y + 13.0], Anchor::End, "value", &label(step));
            }
            before = end;
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let heads = ["step", &self.value, "over the step before", "over the first", "what changed"];
        let mut table = Table::new(self.caption.clone(), heads);
        for Step { name, change, value, step, total } in &self.steps {
            let figures = [value, step, total].map(|figure| figure.cell.clone());
            let [value, step, total] = figures;
            table.rows.push(vec![name.clone(), value, step, total, change.clone()]);
        }
        table
    }
}

/// A first value has no step.
fn label(step: &Step) -> String {
    let value = step.value.cell.text();
    if step.step.number == 1.0 && step.total.number == 1.0 {
        value.to_string()
    } else {
        // A gain and a loss differ by this sign, too, not only by their colours.
        let sign = if step.step.number < 1.0 { "\u{25c2}" } else { "\u{25b8}" };
        format!("{sign} {} \u{2192} {value}", step.step.cell.text())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::At;
    use super::*;

    fn waterfall(values: &[f64]) -> Waterfall {
        let at = At::root();
        let step = |(index, &value): (usize, &f64)| Step {
            name: Cell::words(format!("step {index}")),
            change: Cell::words("something"),
            value: at.figure("v", value, Unit::Rate),
            step: at.figure("s", value / values[index.saturating_sub(1)], Unit::Times),
            total: at.figure("t", value / values[0], Unit::Times),
        };
        Waterfall {
            caption: "Steps".into(),
            value: "speed".into(),
            unit: Unit::Rate,
            steps: values.iter().enumerate().map(step).collect(),
        }
    }

    /// Left end and width of each box, with its class.
    fn boxes(of: &Waterfall, width: f64) -> Vec<(f64, f64, String)> {
        let mut sheet = Sheet::new(width);
        of.draw(&mut sheet).unwrap();
        let svg = sheet.finish().1.finish();
        let read = |rect: &str, name: &str| {
            rect.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_string()
        };
        let of =
            |rect: &str| (read(rect, "x").parse().unwrap(), read(rect, " width").parse().unwrap(), read(rect, "class"));
        svg.split("<rect ").skip(1).map(of).collect()
    }

    #[test]
    fn each_box_begins_where_the_last_one_ends() {
        for width in [328.0, 912.0] {
            let boxes = boxes(&waterfall(&[20.0, 200.0, 2_000.0, 1_000.0]), width);
            assert!((boxes[1].0 - (boxes[0].0 + boxes[0].1)).abs() < 0.2, "{boxes:?}");
            assert!((boxes[2].0 - (boxes[1].0 + boxes[1].1)).abs() < 0.2, "{boxes:?}");
            assert!((boxes[1].1 - boxes[2].1).abs() < 0.2, "ten times is as long at both places: {boxes:?}");
            // A loss goes back.
            let end = boxes[2].0 + boxes[2].1;
            assert!((boxes[3].0 + boxes[3].1 - end).abs() < 0.2 && boxes[3].2 == "fill loss", "{boxes:?}");
            assert_eq!([&boxes[0].2, &boxes[1].2], ["fill first", "fill gain"]);
        }
    }

    #[test]
    fn words_say_each_step_and_the_whole() {
        let text = waterfall(&[20.0, 200.0, 100.0]).description();
        assert_eq!(
            text,
            "Waterfall on a logarithmic scale, speed. It begins with step 0, 20.0/s. step 1: 10.0x, to 200/s. step 2: 0.50x, to \
             100/s. Together: 5.00x."
        );
        assert_eq!(waterfall(&[]).draw(&mut Sheet::new(328.0)), Err(ScaleError::Empty));
    }
}
