//! Counts by the label of a fault.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::counter::Counter;

/// Labels of faults for which there is a counter; there are fewer, see the tests of `Fault`.
pub const FAULT_LABELS_MAX: usize = 192;

/// How often each fault occurred, by its label.
pub type Faults = BTreeMap<&'static str, u64>;

/// One worker's counts. They take memory from the first fault on.
#[derive(Debug, Default)]
pub(super) struct FaultCounters(OnceLock<Box<ByLabel>>);

/// In the order in which labels were seen first.
#[derive(Debug)]
struct ByLabel([FaultCounter; FAULT_LABELS_MAX]);

#[derive(Debug, Default)]
struct FaultCounter {
    label: OnceLock<&'static str>,
    count: Counter,
}

impl Default for ByLabel {
    fn default() -> Self {
        Self(std::array::from_fn(|_| FaultCounter::default()))
    }
}

impl FaultCounters {
    #[cold]
    pub(super) fn add(&self, label: &'static str) {
        let ByLabel(counters) = &**self.0.get_or_init(Box::default);
        // The first one that is free becomes the label's.
        let counter = counters.iter().find(|one| *one.label.get_or_init(|| label) == label);
        if let Some(counter) = counter {
            counter.count.add(1);
        }
    }

    pub(super) fn sum_into(&self, faults: &mut Faults) {
        for counter in self.0.get().iter().flat_map(|counters| &counters.0) {
            let Some(label) = counter.label.get() else { break };
            *faults.entry(label).or_default() += counter.count.get();
        }
    }
}

pub(super) fn merge_faults(into: &mut Faults, other: &Faults) {
    for (label, count) in other {
        *into.entry(label).or_default() += count;
    }
}
