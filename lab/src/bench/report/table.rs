//! Results on a terminal.

use std::fmt::Write;

use super::super::results::{Measured, Results};
use super::rows::{remarks, rows};

/// A workload's table, with a headline and notes.
#[must_use]
pub fn table(measured: &Measured) -> String {
    let workload = &measured.workload;
    let mut text = format!("{}: {}\n{}", workload.name, workload.title, rows(measured).text());
    for remark in remarks(measured) {
        text += &remark;
        text.push('\n');
    }
    text
}

/// The goals, and whether they are met.
#[must_use]
pub fn goals(results: &Results) -> String {
    super::goals::table(results).text()
}

/// The machine, the rounds, and the contenders that were left out.
#[must_use]
pub fn summary(results: &Results) -> String {
    let machine = &results.machine;
    let (rounds, seconds) = results.rounds;
    let mut text = format!(
        "{}, {} cores, Linux {}\n{}\n{rounds} rounds of {seconds} s per contender, interleaved\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.versions.join(", ")
    );
    for absence in &results.left_out {
        // Writing to a String can't fail.
        let _ = writeln!(text, "left out: {absence}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;

    #[test]
    fn a_workload_has_its_title_its_table_and_its_remarks() {
        let mut measured = measured();
        measured.entries[2].failure = Some("said no".to_owned());
        let text = table(&measured);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 5 + 1);
        assert!(lines[0].starts_with("small-1: ") && lines[1].starts_with("contender "), "{text}");
        assert!(lines[6].starts_with("relay ") && lines[7] == "nginx FAILED: said no.", "{text}");
    }
}
