//! Results on a terminal.

use std::fmt::Write;

use super::super::results::{Measured, Results};
use super::rows::{COLUMNS, remarks, rows};

/// A workload's table, with a headline and what has to be known to read it.
#[must_use]
pub fn table(measured: &Measured) -> String {
    let workload = &measured.workload;
    let mut text = format!("{}: {}\n", workload.name, workload.title);
    lines(&mut text, COLUMNS, &rows(measured));
    for remark in remarks(measured) {
        text += &remark;
        text.push('\n');
    }
    text
}

/// What the proxy is meant to reach, and whether it does.
#[must_use]
pub fn goals(results: &Results) -> String {
    let rows: Vec<_> = super::goals::goals(results).iter().map(super::Goal::cells).collect();
    let mut text = String::new();
    lines(&mut text, ["goal", "limit", "figure", ""], &rows);
    text
}

/// Columns as wide as their widest cell: the first to the left, the others to the right.
fn lines<const N: usize>(text: &mut String, heads: [&str; N], rows: &[[String; N]]) {
    let heads = heads.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in [&heads].into_iter().chain(rows) {
        let mut line = String::new();
        for (index, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a String can't fail.
            let _ = match index {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Where and how it was measured, and who was left out.
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
    fn columns_line_up_whatever_they_hold() {
        let text = table(&measured());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 5);
        assert!(lines[0].starts_with("small-1: "), "{text}");
        let at = |line: &str, word: &str| {
            let byte = line.find(word).expect(word);
            line[..byte].chars().count() + word.chars().count()
        };
        assert_eq!(at(lines[1], "× relay"), at(lines[6], "1.00"), "{text}");
        assert_eq!(at(lines[1], "peak MiB"), at(lines[2], "5.0"), "{text}");
    }
}
