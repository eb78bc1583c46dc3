//! The page in a browser, as a phone and a desktop show it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Opens everything that is folded, then notes what a reader would trip over: a page wider than the screen, text that leaves its
/// picture, what was loaded, what failed.
const PROBE: &str = "<script>
let failed = [];
window.addEventListener('error', event => failed.push(event.message || event.target.tagName), true);
window.addEventListener('load', () => {
  document.querySelectorAll('details').forEach(details => details.open = true);
  const root = document.documentElement, shown = [...document.querySelectorAll('svg')].filter(svg => svg.getClientRects().length);
  const outside = shown.flatMap(svg => [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBBox(), view = svg.viewBox.baseVal;
    return box.x < -1 || box.x + box.width > view.width + 1 || box.y + box.height > view.height + 1;
  }).map(text => svg.getAttribute('aria-labelledby') + ': ' + text.textContent));
  const small = shown.flatMap(svg => [...svg.querySelectorAll('text')]
    .filter(text => text.getBoundingClientRect().height < 11).map(text => text.textContent));
  parent.postMessage(JSON.stringify({
    width: innerWidth, scroll: root.scrollWidth, dark: matchMedia('(prefers-color-scheme: dark)').matches,
    page: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
    kinds: [...new Set(shown.map(svg => svg.getAttribute('class')))], pictures: shown.length,
    outside, small, failed, loaded: performance.getEntriesByType('resource').map(entry => entry.name),
  }), '*');
});
</script></body>";

/// Shows the page in a frame: a window of a browser without a screen is never as narrow as a phone.
const FRAME: &str = "<!DOCTYPE html><html><body><script>
addEventListener('message', event => document.documentElement.setAttribute('data-found', event.data));
</script><iframe src=\"page.html\" width=\"WIDTH\" height=\"HEIGHT\" style=\"border: 0\"></iframe></body></html>";

fn chromium() -> String {
    std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_string())
}

/// What the probe found in the folder's page, in a frame of this size.
fn found(folder: &Path, [width, height]: [u32; 2], dark: bool) -> serde_json::Value {
    let chromium = chromium();
    let frame = folder.join("frame.html");
    fs::write(&frame, FRAME.replace("WIDTH", &width.to_string()).replace("HEIGHT", &height.to_string())).unwrap();
    let output = Command::new(&chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        // Time passes as soon as there is nothing to do: the frame's message has come by then.
        .args(["--window-size=1400,1000", "--virtual-time-budget=10000"])
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }))
        .arg(format!("file://{}", frame.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{chromium} cannot be started ({error}): set CHROMIUM to a Chromium or Chrome"));
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom.split("data-found=\"").nth(1).and_then(|rest| rest.split('"').next());
    let found = found.unwrap_or_else(|| panic!("{chromium} gave no page: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&found.replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&")).unwrap()
}

/// Demands that a browser shows the page on a phone and a desktop, light and dark: nothing wider than the screen, no text outside
/// its picture, nothing loaded.
pub fn shows(page: &str) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(page.matches("</body>").count(), 1);
    fs::write(folder.path().join("page.html"), page.replace("</body>", PROBE)).unwrap();
    let figures = page.matches("<figure").count();
    for (size, kind) in [([360, 800], "narrow"), ([1_280, 900], "wide")] {
        let [light, dark] = [false, true].map(|dark| found(folder.path(), size, dark));
        for (found, is_dark) in [(&light, false), (&dark, true)] {
            assert_eq!(found["width"], size[0], "{found}");
            assert!(found["scroll"].as_u64() <= Some(size[0].into()), "wider than the screen: {found}");
            assert_eq!(found["dark"], is_dark, "{found}");
            assert_eq!(found["kinds"], serde_json::json!([kind]), "{found}");
            assert_eq!(found["pictures"], figures, "{found}");
            for nothing in ["outside", "small", "failed", "loaded"] {
                assert_eq!(found[nothing], serde_json::json!([]), "{nothing}, {size:?}");
            }
        }
        assert!(light["page"] != dark["page"] && light["ink"] != dark["ink"], "{light} {dark}");
    }
}
