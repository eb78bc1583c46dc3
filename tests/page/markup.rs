//! A reader of the page, strict enough that what it takes is well-formed XML behind the doctype.

use std::collections::BTreeMap;

/// An element.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Node>,
}

#[derive(Debug)]
pub enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }

    /// All text in it.
    pub fn text(&self) -> String {
        let text = |node: &Node| match node {
            Node::Element(element) => element.text(),
            Node::Text(text) => text.clone(),
        };
        self.children.iter().map(text).collect()
    }

    /// It and all elements in it, in their order.
    pub fn all(&self) -> Vec<&Element> {
        let mut all = vec![self];
        for node in &self.children {
            if let Node::Element(element) = node {
                all.extend(element.all());
            }
        }
        all
    }

    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.all().into_iter().filter(move |element| element.name == name)
    }
}

/// Reads a page.
///
/// # Errors
/// The first thing that is not well-formed, in words.
pub fn parse(page: &str) -> Result<Element, String> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?.trim();
    let mut open: Vec<Element> = Vec::new();
    loop {
        let here = || rest.chars().take(60).collect::<String>();
        if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>').ok_or_else(here)?;
            let closed = open.pop().ok_or_else(here)?;
            if closed.name != name {
                return Err(format!("</{name}> ends <{}>", closed.name));
            }
            rest = after;
            match open.last_mut() {
                Some(parent) => parent.children.push(Node::Element(closed)),
                None if rest.is_empty() => return Ok(closed),
                None => return Err(format!("behind the end: {}", here())),
            }
        } else if let Some(after) = rest.strip_prefix('<') {
            let (element, empty, after) = start(after).ok_or_else(here)?;
            rest = after;
            if empty {
                open.last_mut().ok_or("an empty root")?.children.push(Node::Element(element));
            } else {
                open.push(element);
            }
        } else {
            let end = rest.find('<').ok_or_else(|| format!("still open: {:?}", open.last().map(|last| &last.name)))?;
            let text = unescape(&rest[..end]).ok_or_else(here)?;
            open.last_mut().ok_or_else(here)?.children.push(Node::Text(text));
            rest = &rest[end..];
        }
    }
}

/// An element's name and attributes, whether it is empty, and what comes behind.
fn start(text: &str) -> Option<(Element, bool, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).filter(|&end| end > 0)?;
    let mut element = Element { name: text[..end].to_string(), ..Element::default() };
    let mut rest = &text[end..];
    loop {
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((element, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Some((element, false, after));
        }
        let (name, after) = rest.strip_prefix(' ')?.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        let fine = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !value.contains('<');
        // An attribute stands once.
        if !fine || element.attributes.insert(name.to_string(), unescape(value)?).is_some() {
            return None;
        }
        rest = after;
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut out = parts.next()?.to_string();
    for part in parts {
        let (name, after) = part.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => return None,
        });
        out.push_str(after);
    }
    (!text.contains('>')).then_some(out)
}

#[test]
fn what_is_not_well_formed_is_refused() {
    let good = parse("<!DOCTYPE html>\n<a b=\"1 &lt; 2\">x<c/><d>&amp;</d></a>\n").unwrap();
    assert_eq!((good.get("b"), good.text().as_str(), good.all().len()), ("1 < 2", "x&", 3));
    for bad in [
        "<a></a>",
        "<!DOCTYPE html><a>",
        "<!DOCTYPE html><a><b></a></b>",
        "<!DOCTYPE html><a></a><b></b>",
        "<!DOCTYPE html><a b=1></a>",
        "<!DOCTYPE html><a b=\"1\" b=\"2\"></a>",
        "<!DOCTYPE html><a>&nbsp;</a>",
        "<!DOCTYPE html><a>x & y</a>",
        "<!DOCTYPE html><a>x > y</a>",
        "<!DOCTYPE html><a>x < y</a>",
        "<!DOCTYPE html><br/>",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
