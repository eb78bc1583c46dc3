//! HTML and SVG that are well-formed because nothing else can be written: whatever is opened is closed in its order, and text and
//! attributes are escaped. What comes out is XML as well, so that a test can parse it.

/// Markup under construction.
#[derive(Debug, Default)]
pub struct Markup {
    out: String,
    open: Vec<&'static str>,
}

/// Names and values of an element's attributes.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Markup {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an element; [`close`](Markup::close) ends it.
    pub fn open(&mut self, name: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.start(name, attributes);
        self.out.push('>');
        self.open.push(name);
        self
    }

    /// Ends the element that was opened last.
    ///
    /// # Panics
    /// If none is open.
    pub fn close(&mut self) -> &mut Self {
        let name = self.open.pop().expect("an element is open");
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        if BLOCKS.contains(&name) {
            self.out.push('\n');
        }
        self
    }

    /// An element that has no content, like `<br/>` or `<rect/>`.
    pub fn empty(&mut self, name: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.start(name, attributes);
        self.out.push_str("/>");
        self
    }

    /// An element with text in it.
    pub fn element(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) -> &mut Self {
        self.open(name, attributes).text(text).close()
    }

    /// Text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape(text, &mut self.out);
        self
    }

    /// All of another piece.
    ///
    /// # Panics
    /// If something in it is still open.
    pub fn append(&mut self, other: Markup) -> &mut Self {
        self.out.push_str(&other.finish());
        self
    }

    /// A style sheet, which is not escaped: it comes with the program.
    ///
    /// # Panics
    /// If it holds what would end it or would have to be escaped.
    pub fn style(&mut self, css: &str) -> &mut Self {
        assert!(!css.contains(['<', '&']), "a style sheet without markup");
        self.open("style", &[]);
        self.out.push_str(css);
        self.close()
    }

    /// The text of it all.
    ///
    /// # Panics
    /// If something is still open.
    pub fn finish(self) -> String {
        assert!(self.open.is_empty(), "still open: {:?}", self.open);
        self.out
    }

    fn start(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, &mut self.out);
            self.out.push('"');
        }
    }
}

/// What a line ends behind, for whoever reads the source.
const BLOCKS: &[&str] =
    &["tr", "p", "h1", "h2", "h3", "table", "figure", "svg", "section", "details", "style", "title", "div", "head"];

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            // XML has no place for the other control characters.
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_text_or_attributes() {
        let mut markup = Markup::new();
        markup.open("p", &[("title", "\"><script>'")]).text("a < b && c > d \"e\" \u{1}\u{7f}").close();
        assert_eq!(
            markup.finish(),
            "<p title=\"&quot;&gt;&lt;script&gt;&#39;\">a &lt; b &amp;&amp; c &gt; d &quot;e&quot; \u{fffd}\u{fffd}</p>\n"
        );
    }

    #[test]
    fn elements_nest() {
        let mut inner = Markup::new();
        inner.element("i", &[], "x").empty("br", &[]);
        let mut markup = Markup::new();
        markup.open("b", &[]).append(inner).close();
        assert_eq!(markup.finish(), "<b><i>x</i><br/></b>");
    }

    #[test]
    #[should_panic(expected = "still open: [\"b\"]")]
    fn what_is_open_is_not_finished() {
        let mut markup = Markup::new();
        markup.open("b", &[]);
        markup.finish();
    }

    #[test]
    #[should_panic(expected = "a style sheet without markup")]
    fn a_style_sheet_ends_nowhere_else() {
        Markup::new().style("</style><script>");
    }
}
