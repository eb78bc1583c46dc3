//! Axes: lines across the picture at the values that a scale names, and the names of those values.

use super::Unit;
use super::scale::{Scale, ScaleError};
use super::sheet::{Anchor, Sheet};

/// Room below a picture for the names of an axis along x.
pub const BELOW: f64 = 22.0;

/// An axis from left to right: lines from `top` to `bottom`, their names below.
pub fn along_x(sheet: &mut Sheet, scale: &Scale, unit: Unit, top: f64, bottom: f64) -> Result<(), ScaleError> {
    let most = if sheet.is_wide() { 9 } else { 5 };
    let mut free = 0.0;
    for value in scale.ticks(most) {
        let (x, text) = (scale.at(value)?, unit.tick(value));
        sheet.line([x, top], [x, bottom], "grid");
        // What would leave the picture stands inside, what would touch its neighbour is not said.
        let half = sheet.text_width(&text) / 2.0;
        let (from, anchor, at) = match x {
            x if x - half < 0.0 => (0.0, Anchor::Start, 0.0),
            x if x + half > sheet.width => (sheet.width - 2.0 * half, Anchor::End, sheet.width),
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
    for value in scale.ticks(7) {
        let y = scale.at(value)?;
        sheet.line([left, y], [width, y], "grid");
        sheet.text([left - 8.0, y + 4.0], Anchor::End, "soft", &unit.tick(value));
    }
    Ok(())
}

/// Room that the names of an axis along y take.
pub fn room(sheet: &Sheet, scale: &Scale, unit: Unit) -> f64 {
    let widths = scale.ticks(7).into_iter().map(|value| sheet.text_width(&unit.tick(value)));
    widths.fold(0.0, f64::max) + 12.0
}
