//! The codec between compact bits and 256-bit targets: whatever bits decode to, it encodes back to the shortest form of the
//! same number, and scaling keeps to its limits.
#![no_main]

use joulebook::block::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u64, u64)| {
    let (bits, numerator, denominator) = input;
    let Ok(target) = Target::from_bits(bits) else { return };
    let back = target.to_bits();
    assert_eq!(Target::from_bits(back), Ok(target), "{bits:#x} became {back:#x}");
    assert_eq!(Target::from_bits(back).unwrap().to_bits(), back);
    assert!(target.work() >= 1.0);
    // A target meets itself, and nothing above itself.
    let mut hash = *target.as_bytes();
    assert!(target.is_met_by(&hash));
    if let Some(byte) = hash.iter_mut().find(|byte| **byte != 0xff) {
        *byte += 1;
        assert!(!target.is_met_by(&hash));
    }
    if denominator != 0 {
        let scaled = target.scaled(numerator, denominator);
        let easiest = Target::from_bits(Target::EASIEST_BITS).unwrap();
        assert!(easiest.is_met_by(scaled.as_bytes()) && *scaled.as_bytes() != [0; 32]);
        assert!(Target::from_bits(scaled.to_bits()).is_ok(), "what is scaled has compact bits");
        if numerator <= denominator && easiest.is_met_by(target.as_bytes()) {
            assert!(target.is_met_by(scaled.as_bytes()), "a smaller target is harder");
        }
    }
});
