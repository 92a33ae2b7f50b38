//! The report for pasting into an issue, a message or a document.

use super::{Report, tables};
use crate::render::{Table, plain_markdown};

pub(super) fn document(report: &Report) -> String {
    let mut text = vec!["## Comparison of runs\n".to_owned()];
    let tables: [Option<Table>; 4] = [
        Some(tables::figures(report)),
        Some(tables::shares(report)),
        tables::repetitions(report),
        tables::changes(report),
    ];
    for table in tables.into_iter().flatten() {
        let caption = plain_markdown(&table.caption);
        text.push(format!("\n{caption}:\n\n{}", table.markdown()));
    }
    for (title, lines) in [
        ("How the runs were made", tables::conditions(report)),
        ("Remarks", tables::remarks(report)),
        ("What the data say", [tables::verdicts(report), tables::sentences(report)].concat()),
    ] {
        if lines.is_empty() {
            continue;
        }
        let lines: Vec<_> =
            lines.iter().map(|line| format!("- {}", plain_markdown(line))).collect();
        text.push(format!("\n### {title}\n\n{}\n", lines.join("\n")));
    }
    text.concat()
}
