//! What every page has: a head that names machine and build, sections with links to them, the machine in full, and the words that
//! say how to read a figure.

use super::markup::Markup;
use super::table::{At, Cell, Table};
use crate::report::format::duration_ns;
use crate::scenario::Environment;

const STYLE: &str = include_str!("style.css");

/// A page of this title; `write` fills its body.
pub fn page(title: &str, write: impl FnOnce(&mut Markup)) -> String {
    let mut out = Markup::new();
    out.open("html", &[("lang", "en")]).open("head", &[]);
    out.empty("meta", &[("charset", "utf-8")]);
    out.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    out.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    out.element("title", &[], title);
    out.style(STYLE).close();
    out.open("body", &[]).open("main", &[]);
    write(&mut out);
    out.close().close().close();
    format!("<!DOCTYPE html>\n{}\n", out.finish())
}

/// The head: what was played (paragraphs come below the heading), where, and what a reader must know before the first figure.
pub fn head(
    heading: &str,
    played: &[Vec<Cell>],
    place: &Environment,
    complete: bool,
    warnings: &[String],
    out: &mut Markup,
) {
    let at = At::root().under("environment");
    out.open("header", &[]).element("h1", &[], heading);
    for parts in played {
        paragraph(out, parts);
    }
    let words = |text: &str| Cell::words(text);
    paragraph(
        out,
        &[
            at.words("cpu", &place.cpu),
            words(", "),
            at.count("cpus", place.cpus),
            words(" CPUs, "),
            at.words("platform", &place.platform),
            words(". Version "),
            at.words("version", place.version),
            words(", "),
            at.said("date", &place.date, &format!("{} UTC", place.date.replace('T', " ").trim_end_matches('Z'))),
            words("."),
        ],
    );
    let mut warn = |text: &str| {
        out.element("p", &[("class", "warning"), ("role", "note")], text);
    };
    if !complete {
        warn("Interrupted: this is what was measured until then.");
    }
    if !place.optimized_build {
        warn("This is not an optimized build: its figures say nothing of one.");
    }
    warnings.iter().for_each(|warning| warn(warning));
    out.close();
}

/// A part of a page of `R`.
pub struct Section<R> {
    /// Where links lead to.
    pub id: &'static str,
    /// What links say.
    pub short: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// Whether the report has something for it.
    pub wanted: bool,
    /// Writes it.
    pub write: fn(&R, &mut Markup),
}

/// Links to the sections for which there is something, and then those.
pub fn sections<R>(report: &R, sections: &[Section<R>], out: &mut Markup) {
    let wanted = || sections.iter().filter(|section| section.wanted);
    out.open("nav", &[("aria-label", "Sections")]);
    for section in wanted() {
        out.element("a", &[("href", &format!("#{}", section.id))], section.short);
    }
    out.close();
    for section in wanted() {
        out.open("section", &[("id", section.id)]).element("h2", &[], section.heading);
        (section.write)(report, out);
        out.close();
    }
}

/// A paragraph of words and figures.
pub fn paragraph(out: &mut Markup, parts: &[Cell]) {
    out.open("p", &[]);
    for part in parts {
        part.write(out);
    }
    out.close();
}

/// Machine and build in full.
pub fn environment(place: &Environment) -> Table {
    let at = At::root().under("environment");
    let mut table = Table::new("Machine and build", ["", "what it is"]);
    let mut row = |name: &str, cell: Cell| table.rows.push(vec![Cell::words(name), cell]);
    row("version", at.words("version", place.version));
    row("revision", at.words("revision", place.revision));
    row("date", at.words("date", &place.date));
    row("CPU", at.words("cpu", &place.cpu));
    row("CPUs", at.count("cpus", place.cpus));
    row("platform", at.words("platform", &place.platform));
    row("SHA-256", at.words("sha256", &place.sha256));
    row("many hashes at a time", at.words("hash_kernel", place.hash_kernel));
    let mut kernels = Cell::words("this machine can run:");
    for (index, kernel) in place.hash_kernels.iter().enumerate() {
        kernels = kernels.and(at.words(&format!("hash_kernels/{index}"), kernel));
    }
    row("hashing kernels", kernels);
    row("optimized build", at.yes("optimized_build", place.optimized_build));
    row("step of the clock", at.exact("clock_step_ns", place.clock_step_ns, duration_ns(place.clock_step_ns as f64)));
    row("counters", at.words("counters", &place.counters));
    table
}

/// How to read a figure.
pub fn how_to_read(schema: &str, out: &mut Markup) {
    let parts = [
        Cell::words("Each figure on this page has its exact value, and its place in the JSON report of the same run ("),
        At::root().words("schema", schema),
        Cell::words("), in the attributes of its <data> element."),
    ];
    paragraph(out, &parts);
}
