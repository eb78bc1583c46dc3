//! Axes: lines across the picture at the values that a scale names, and the names of those values.

use super::Unit;
use super::scale::{Scale, ScaleError};
use super::sheet::{Anchor, Sheet};

/// Room below a picture for the names of an axis along x.
pub const BELOW: f64 = 22.0;

/// So much may the half of a text be wider than it seems.
const SLACK: f64 = 4.0;

/// An axis from left to right: lines from `top` to `bottom`, their names below.
pub fn along_x(sheet: &mut Sheet, scale: &Scale, unit: Unit, top: f64, bottom: f64) -> Result<(), ScaleError> {
    let most = if sheet.is_wide() { 9 } else { 5 };
    let mut free = 0.0;
    for value in named(scale, unit, most) {
        let (x, text) = (scale.at(value)?, unit.tick(value));
        sheet.line([x, top], [x, bottom], "grid");
        // What would leave the picture stands inside, what would touch its neighbour is not said. Fonts differ a little from what
        // is assumed of them.
        let half = sheet.text_width(&text) / 2.0;
        let (from, anchor, at) = match x {
            x if x - half < SLACK => (0.0, Anchor::Start, 0.0),
            x if x + half > sheet.width - SLACK => (sheet.width - 2.0 * half, Anchor::End, sheet.width),
            x => (x - half, Anchor::Middle, x),
        };
        if from >= free {
            sheet.text([at, bottom + 17.0], anchor, "soft", &text);
            free = from + 2.0 * half + 8.0;
        }
    }
    sheet.grow(bottom + BELOW);
    Ok(())
}

/// An axis from bottom to top: lines from `left` to the right end, their names before them.
pub fn along_y(sheet: &mut Sheet, scale: &Scale, unit: Unit, left: f64) -> Result<(), ScaleError> {
    let width = sheet.width;
    for value in named(scale, unit, 7) {
        let y = scale.at(value)?;
        sheet.line([left, y], [width, y], "grid");
        sheet.text([left - 8.0, y + 4.0], Anchor::End, "soft", &unit.tick(value));
    }
    Ok(())
}

/// Room that the names of an axis along y take.
pub fn room(sheet: &Sheet, scale: &Scale, unit: Unit) -> f64 {
    let widths = named(scale, unit, 7).map(|value| sheet.text_width(&unit.tick(value)));
    widths.fold(0.0, f64::max) + 12.0
}

/// Values that get a line and a name: of what is counted, whole ones only.
fn named(scale: &Scale, unit: Unit, most: usize) -> impl Iterator<Item = f64> {
    scale.ticks(most).into_iter().filter(move |value| unit != Unit::Count || value.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::scale::Division;
    use super::*;

    #[test]
    fn nothing_is_counted_in_halves() {
        let scale = Scale::over(Division::Linear, [1.0, 3.0], 0.0, 100.0).unwrap();
        assert!(scale.ticks(9).contains(&0.5));
        assert_eq!(named(&scale, Unit::Count, 9).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0]);
        assert!(named(&scale, Unit::Times, 9).any(|value| value == 0.5));
    }

    #[test]
    fn names_along_x_stay_on_the_sheet_and_apart() {
        for width in [120.0, 328.0, 912.0] {
            let scale = Scale::over(Division::Log, [1.0, 1e9], 0.0, width).unwrap();
            let mut sheet = Sheet::new(width);
            along_x(&mut sheet, &scale, Unit::Count, 0.0, 100.0).unwrap();
            let svg = sheet.finish().1.finish();
            let read = |text: &str, name: &str| {
                text.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_string()
            };
            let mut free = -1.0;
            for text in svg.split("<text ").skip(1) {
                let (at, said): (f64, _) = (read(text, "x").parse().unwrap(), text.split(['>', '<']).nth(1).unwrap());
                let length = Sheet::new(width).text_width(said);
                let from = match read(text, "text-anchor").as_str() {
                    "start" => at,
                    "end" => at - length,
                    _ => at - length / 2.0,
                };
                assert!(from > free && from + length <= width + 0.1, "{said} from {from} on {width}");
                free = from + length;
            }
            assert!(free > width / 2.0);
        }
    }
}
