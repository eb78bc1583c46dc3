//! What a picture is drawn on: SVG elements at places, in the units of the screen.

use super::super::markup::Markup;

/// Marks and dashes.
const STYLES: usize = 8;
/// Colours of the style sheet.
const COLOURS: usize = 12;
/// Dashes by style.
const DASHES: [&str; STYLES] = ["none", "7 3", "2 3", "9 3 2 3", "4 4", "1 2", "12 4", "5 2 1 2"];

/// The style of what is left: the only one without a colour.
pub const REST_STYLE: usize = COLOURS - 1;

/// A drawing.
#[derive(Debug)]
pub struct Sheet {
    /// Its width.
    pub width: f64,
    height: f64,
    body: Markup,
}

/// Where a text stands against its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Behind it.
    Start,
    /// Around it.
    Middle,
    /// Before it.
    End,
}

impl Sheet {
    /// An empty one, of no height yet.
    pub fn new(width: f64) -> Sheet {
        Sheet { width, height: 0.0, body: Markup::new() }
    }

    /// Whether there is room beside the drawing.
    pub fn is_wide(&self) -> bool {
        self.width > 600.0
    }

    /// Its height at least.
    pub fn grow(&mut self, height: f64) {
        self.height = self.height.max(height);
    }

    /// Height and content.
    pub fn finish(self) -> (f64, Markup) {
        (self.height.ceil(), self.body)
    }

    /// About how wide a text is.
    pub fn text_width(&self, text: &str) -> f64 {
        // The style sheet's size of text in pictures, and the mean width of a character in common fonts.
        let size = if self.is_wide() { 13.0 } else { 12.0 };
        text.chars().count() as f64 * size * 0.56
    }

    /// Text on the base line `y`. Classes are the style sheet's.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.body.element("text", &[("x", &px(x)), ("y", &px(y)), ("text-anchor", anchor), ("class", class)], text);
    }

    /// A straight line.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) {
        let places = [px(x1), px(y1), px(x2), px(y2)];
        let [x1, y1, x2, y2] = places.each_ref().map(String::as_str);
        self.body.empty("line", &[("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2), ("class", class)]);
    }

    /// A box from one corner to the other, whichever they are.
    pub fn rect(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) {
        let [x, y, width, height] = [x1.min(x2), y1.min(y2), (x2 - x1).abs(), (y2 - y1).abs()].map(px);
        self.body.empty(
            "rect",
            &[("x", &x), ("y", &y), ("width", &width), ("height", &height), ("rx", "2"), ("class", class)],
        );
    }

    /// A line through points, in the dashes of a style.
    pub fn path(&mut self, points: &[[f64; 2]], style: usize) {
        let mut path = String::new();
        for (at, [x, y]) in points.iter().enumerate() {
            path.push_str(&format!("{}{} {}", if at == 0 { "M" } else { "L" }, px(*x), px(*y)));
        }
        let class = format!("stroke {}", style_class(style));
        self.body.empty("path", &[("d", &path), ("class", &class), ("stroke-dasharray", DASHES[style % STYLES])]);
    }

    /// The mark of a style around a place: disc, square, triangle, diamond, and these four hollow.
    pub fn mark(&mut self, [x, y]: [f64; 2], style: usize) {
        let hollow = style % STYLES >= STYLES / 2;
        let class = format!("{} {}", if hollow { "hollow" } else { "fill" }, style_class(style));
        let corners = |places: &[[f64; 2]]| {
            let places: Vec<String> = places.iter().map(|[dx, dy]| format!("{},{}", px(x + dx), px(y + dy))).collect();
            places.join(" ")
        };
        let points = match style % (STYLES / 2) {
            0 => {
                self.body.empty("circle", &[("cx", &px(x)), ("cy", &px(y)), ("r", "3.6"), ("class", &class)]);
                return;
            }
            1 => corners(&[[-3.4, -3.4], [3.4, -3.4], [3.4, 3.4], [-3.4, 3.4]]),
            2 => corners(&[[0.0, -4.6], [4.4, 3.4], [-4.4, 3.4]]),
            _ => corners(&[[0.0, -4.8], [4.8, 0.0], [0.0, 4.8], [-4.8, 0.0]]),
        };
        self.body.empty("polygon", &[("points", &points), ("class", &class)]);
    }

    /// Names in rows from the place on, as many to a row as fit, each behind what `draw` draws in `room` before it. Gives the place
    /// below them.
    pub fn key(
        &mut self,
        names: &[(usize, String)],
        [x, y]: [f64; 2],
        room: f64,
        mut draw: impl FnMut(&mut Sheet, [f64; 2], usize),
    ) -> f64 {
        let (mut at, mut row) = (x, y);
        for (style, name) in names {
            let width = room + self.text_width(name);
            if at > x && at + width > self.width {
                (at, row) = (x, row + 19.0);
            }
            draw(self, [at, row], *style);
            self.text([at + room, row + 4.5], Anchor::Start, "soft", name);
            at += width + 14.0;
        }
        row + 19.0
    }
}

/// The class that has a style's colour. There are more colours than marks: parts of a whole have their names instead.
pub fn style_class(style: usize) -> String {
    format!("s{}", style % COLOURS)
}

/// A place to a tenth of a pixel.
fn px(place: f64) -> String {
    assert!(place.is_finite(), "a place in a drawing is a number");
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_short_and_numbers() {
        assert_eq!([px(1.0), px(0.25), px(-3.07)], ["1", "0.2", "-3.1"]);
        assert!(std::panic::catch_unwind(|| px(f64::NAN)).is_err());
    }

    #[test]
    fn names_are_broken_into_rows() {
        let names: Vec<(usize, String)> = (0..9).map(|at| (at, format!("series {at}"))).collect();
        let mut places = Vec::new();
        let below = Sheet::new(328.0).key(&names, [0.0, 10.0], 20.0, |_, place, _| places.push(place));
        assert!(places.iter().all(|[x, _]| *x < 328.0 - 80.0), "{places:?}");
        assert!(places[8][1] > places[0][1] && below > places[8][1], "{places:?}");
        assert_eq!(places[0], [0.0, 10.0]);
    }

    #[test]
    fn every_style_has_a_sign_of_its_own_besides_its_colour() {
        let sign = |style: usize| {
            let mut sheet = Sheet::new(100.0);
            sheet.mark([10.0, 10.0], style);
            sheet.path(&[[0.0, 0.0], [1.0, 1.0]], style);
            sheet.finish().1.finish().replace(&style_class(style), "")
        };
        let mut signs: Vec<String> = (0..STYLES).map(sign).collect();
        signs.sort();
        signs.dedup();
        assert_eq!(signs.len(), STYLES);
    }
}
