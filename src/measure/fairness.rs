//! How evenly something was shared out.

/// Jain's index: 1 if all got the same, 1/n if one of n got everything; 1 if nobody got anything. Jain, Chiu and Hawe, A
/// quantitative measure of fairness, 1984.
pub fn jain_index(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::jain_index;

    #[test]
    fn from_all_alike_to_one_for_all() {
        assert_eq!(jain_index(&[3.0, 3.0, 3.0]), 1.0);
        assert_eq!(jain_index(&[9.0, 0.0, 0.0]), 1.0 / 3.0);
        // (1 + 2 + 3)^2 / (3 x 14)
        assert!((jain_index(&[1.0, 2.0, 3.0]) - 36.0 / 42.0).abs() < 1e-12);
        assert_eq!(jain_index(&[0.0, 0.0]), 1.0);
        assert_eq!(jain_index(&[]), 1.0);
    }
}
