//! Runs of one configuration.

use super::Report;
use super::run::Run;

/// One or several runs that were made in the same way.
#[derive(Clone, Debug)]
pub(super) struct Configuration<'a> {
    pub(super) name: &'a str,
    pub(super) runs: Vec<&'a Run>,
}

/// The configurations of a report, in its order. A run is a repetition of another if its log has
/// the same name in the same folder, with `_2`, `_3` and so on after it, the same policy and kind
/// of connections in its rows, and was made in the same way as far as that is known.
pub(super) fn configurations(report: &Report) -> Vec<Configuration<'_>> {
    let mut all: Vec<Configuration<'_>> = Vec::new();
    for run in &report.runs {
        let known = all.iter_mut().find(|known| known.runs.iter().any(|it| is_same(it, run)));
        match known {
            Some(known) => known.runs.push(run),
            None => all.push(Configuration { name: &run.name, runs: vec![run] }),
        }
    }
    for configuration in &mut all {
        // The first of them was not made first if the runs were named in another order.
        let named_without = |run: &&&Run| repeated(&run.label) == run.label;
        if let Some(first) = configuration.runs.iter().find(named_without) {
            configuration.name = &first.name;
        }
    }
    all
}

/// Whether both have one configuration.
pub(super) fn is_same(a: &Run, b: &Run) -> bool {
    let is_named = a.routing_mode.is_some() && a.connection.is_some();
    is_named
        && a.routing_mode == b.routing_mode
        && a.connection == b.connection
        && a.path.parent() == b.path.parent()
        && repeated(&a.label) == repeated(&b.label)
        && a.setup.is_alike(&b.setup)
}

/// A name without the number of the repetition.
pub(super) fn repeated(label: &str) -> &str {
    match label.rsplit_once('_') {
        Some((name, number)) if number.parse().is_ok_and(|number: u32| number > 1) => name,
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_at_the_end_is_that_of_a_repetition() {
        for (label, name) in [
            ("round-robin_persistent", "round-robin_persistent"),
            ("round-robin_persistent_2", "round-robin_persistent"),
            ("a_10", "a"),
            ("a_1", "a_1"),
            ("a_b", "a_b"),
            ("12", "12"),
        ] {
            assert_eq!(repeated(label), name);
        }
    }
}
