//! The peak of the resident set is the process's: this test has a process of its own.

use joulebook::measure::{peak_rss_mib, reset_peak_rss, rss_mib};

#[test]
fn peak_memory_follows_allocations_or_is_said_to_be_unavailable() {
    if !cfg!(target_os = "linux") {
        assert!(reset_peak_rss().unwrap_err().contains("/proc"));
        assert!(peak_rss_mib().unwrap_err().contains("/proc"));
        assert!(rss_mib().unwrap_err().contains("/proc"));
        return;
    }
    if let Err(reason) = reset_peak_rss() {
        // Some containers mount /proc read-only: then that is what is said.
        println!("not checked: {reason}");
        assert!(reason.contains("/proc/self/clear_refs"), "{reason}");
        return;
    }
    let before = peak_rss_mib().unwrap();
    let block = vec![1u8; 64 << 20];
    std::hint::black_box(&block);
    let held = rss_mib().unwrap();
    assert!((60.0..80.0).contains(&(held - before)), "{before} then {held} now");
    drop(block);
    assert!(rss_mib().unwrap() < held - 50.0, "what is freed is not resident");
    let peak = peak_rss_mib().unwrap();
    assert!((60.0..80.0).contains(&(peak - before)), "{before} then {peak}");
    // What was freed is forgotten.
    reset_peak_rss().unwrap();
    assert!(peak_rss_mib().unwrap() < peak - 50.0);
}
