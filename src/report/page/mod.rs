//! A report as one HTML page: nothing is loaded from anywhere, and no script runs.
//!
//! `sections` lays a run's report out and `load` a load's, both in `frame`; `plot` draws, `table` makes tables in which each figure
//! names its exact value and its place in the JSON report, `markup` writes what is well-formed.

mod frame;
mod load;
mod markup;
mod plot;
mod sections;
mod table;

use crate::scenario::RunReport;
use crate::scenario::load::LoadReport;

/// Lays a run's report out as a page. Every figure stands in a `<data value="..." data-json="...">` with its exact value and its place
/// in the JSON report of the same run.
pub fn render(report: &RunReport) -> String {
    let title = format!("joulebook run, {}", report.environment.date);
    frame::page(&title, |out| sections::write(report, out))
}

/// Lays a load's report out as a page, in the same way.
pub fn render_load(report: &LoadReport) -> String {
    let title = format!("joulebook load {}, {}", report.kind, report.environment.date);
    frame::page(&title, |out| load::write(report, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Reading;
    use crate::scenario::{Options, run, small_options};
    use std::sync::Arc;

    fn small_report() -> RunReport {
        let options = Options { users: 5, orders: 4, ..small_options() };
        run(&options, &mut |_| {}, &Arc::default()).unwrap()
    }

    #[test]
    fn an_interrupted_run_has_a_page_of_what_there_is() {
        let mut report = small_report();
        let whole = render(&report);
        assert!(whole.contains("id=\"figure-latency-reads\"") && !whole.contains("Interrupted"));
        report.complete = false;
        report.scenarios[0].latency_ns = None;
        report.scenarios[1].latency_ns = None;
        report.scenarios[0].resources.peak_rss_mib = Reading::Unavailable("no <proc>".to_string());
        report.scenarios[0].ops_per_second = 0.0;
        report.environment.cpu = "<b>".to_string();
        let partial = render(&report);
        for wanted in [
            "Interrupted: this is what was measured until then.",
            "not sampled",
            "unavailable: no &lt;proc&gt;",
            "There is no picture: 0 has no place on a logarithmic scale",
            "&lt;b&gt;</data>",
        ] {
            assert!(partial.contains(wanted), "{wanted}");
        }
        assert!(!partial.contains("id=\"figure-latency-reads\"") && partial.contains("id=\"figure-latency-writes\""));
        report.scenarios.clear();
        report.ratios.clear();
        report.ladder.clear();
        report.attribution.clear();
        report.components.clear();
        let empty = render(&report);
        assert!(!empty.contains("<svg") && empty.contains("id=\"place\""), "{empty}");
    }

    #[test]
    fn a_load_of_which_nothing_was_measured_has_a_page() {
        use crate::scenario::load::{LoadKind, LoadOptions, Soak, SoakSample, Stress, run_load};
        let (kind, seconds, rate) = (LoadKind::Concurrent, 0.01, None);
        let (clients, users, orders, orders_max, queue) = (2, 10, 5, 1_000, 100);
        let (seed, difficulty_bits) = (1, 2);
        let options =
            LoadOptions { kind, clients, users, orders, orders_max, queue, seconds, rate, seed, difficulty_bits };
        let mut report = run_load(&options, &mut |_| {}, &Arc::default()).unwrap();
        assert!(render_load(&report).contains("id=\"figure-latency-1\""));
        let unavailable = || Reading::Unavailable("no <proc>".to_string());
        report.runs[0].cpu_seconds = unavailable();
        report.runs[0].latency_ns.curve.clear();
        report.complete = false;
        report.stress = Some(Stress {
            orders_max: 9,
            bytes_per_account: unavailable(),
            bytes_per_order: unavailable(),
            stretches: Vec::new(),
            digest_while_refusing: None,
            says: "it was ended".to_string(),
        });
        let (seconds, resident_mib) = (1.0, None);
        let unread =
            SoakSample { seconds, requests: 0, open_orders: 0, resident_mib, engine_bytes: 1, latency_max_ns: 0 };
        report.soak = Some(Soak {
            samples: vec![unread],
            warm_up_seconds: 0.0,
            resident_mib_per_hour: None,
            engine_mib_per_hour: None,
            open_orders_per_hour: None,
            says: "cannot tell: no <proc>".to_string(),
        });
        let page = render_load(&report);
        for wanted in ["Interrupted: ", "unavailable: no &lt;proc&gt;", "it was ended", "cannot tell: no &lt;proc&gt;"]
        {
            assert!(page.contains(wanted), "{wanted}");
        }
        // Of all pictures there is that of orders over time: zero has a place on its axis.
        assert_eq!(page.matches("<figure").count(), 1, "{page}");
        (report.stress, report.soak) = (None, None);
        report.runs.clear();
        assert!(!render_load(&report).contains("<svg"));
    }
}
