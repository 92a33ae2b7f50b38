//! Results as Markdown, for `docs/performance.md`.

use std::fmt::Write;

use super::super::results::Results;
use super::goals::table as goals;
use super::rows::{remarks, rows};
use super::table::summary;

/// The machine, a table per workload, and the goals.
pub(super) fn document(results: &Results) -> String {
    let mut text = String::new();
    for line in summary(results).lines() {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{line}  ");
    }
    for measured in &results.workloads {
        let workload = &measured.workload;
        let _ = writeln!(text, "\n**{}**: {}\n", workload.name, workload.title);
        text += &rows(measured).markdown();
        for remark in remarks(measured) {
            let _ = writeln!(text, "\n{remark}");
        }
    }
    text += "\n**Goals**\n\n";
    text += &goals(results).markdown();
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn every_row_has_as_many_cells_as_its_head() {
        let results = Results {
            machine: Machine::default(),
            rounds: (3, 1),
            left_out: Vec::new(),
            workloads: vec![measured()],
        };
        let text = document(&results);
        let tables: Vec<Vec<&str>> = text
            .split("\n\n")
            .map(|block| block.lines().filter(|line| line.starts_with('|')).collect())
            .filter(|table: &Vec<&str>| !table.is_empty())
            .collect();
        assert_eq!((tables.len(), tables[0].len()), (2, 2 + 5), "{text}");
        for table in tables {
            let cells = |line: &str| line.matches('|').count();
            assert!(table.iter().all(|line| cells(line) == cells(table[0])), "{table:?}");
        }
    }
}
