//! Numbers as JSON has them: no more digits than are known.

use super::estimate::Averages;

pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e6).round() / 1e6 }
}

pub(super) fn millis(micros: f64) -> f64 {
    round(micros / 1000.0)
}

pub(super) fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

pub(super) fn rounded(averages: Averages) -> Averages {
    Averages { sma_ms: averages.sma_ms.map(round), ewma_ms: averages.ewma_ms.map(round) }
}
