//! How figures are written for people.

use crate::render::thousands;

/// Milliseconds.
pub(super) use crate::render::figure as millis;

/// Whole where more would be noise.
pub(super) fn per_second(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { thousands(rate) }
}

/// A share in percent, so that a small one is not 0.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 {
        format!("{percent:.3} %")
    } else {
        format!("{percent:.1} %")
    }
}
