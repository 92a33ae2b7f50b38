//! Results as one self-contained page: no script, no font, nothing from elsewhere.

use std::fmt::Write;

use super::super::results::{Entry, Measured, Results};
use super::goals::goals;
use super::plot::processor_time;
use super::rows::{COLUMNS, remarks, rows};
use super::table::summary;

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>tidegate: processor time per request</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem }
  body { padding: 0 1rem }
  table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
  th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
  th:first-child, td:first-child { text-align: left }
  .failed { background: #fdd }
  .scroll { overflow-x: auto }
  pre { white-space: pre-wrap }
</style>
";

const LEGEND: &str = "<p>Each figure is the median of the rounds, with the lowest and the highest
in brackets. Processor time is that of all threads and processes of the contender; × nginx and
× relay compare its median with that of nginx without a log and of the relay in the same workload.
Requests/s are a contender's own limit only where it used its core up; elsewhere (≥) the load's core
was the limit. Peak memory counts shared pages once for each process.</p>
";

pub(super) fn page(results: &Results) -> String {
    let mut page = HEAD.to_owned();
    // Writing to a String can't fail.
    let _ = writeln!(
        page,
        "<h1>Processor time per request</h1>\n<pre>{}</pre>",
        escape(&summary(results))
    );
    page += LEGEND;
    for measured in &results.workloads {
        section(&mut page, measured);
    }
    page += "<h2>Goals</h2>\n";
    let goals: Vec<_> = goals(results).iter().map(super::Goal::cells).collect();
    table(&mut page, ["goal", "limit", "figure", ""], goals.iter().map(|row| (row, "")));
    page += "</html>\n";
    page
}

/// A table of rows, each with the class it belongs to.
fn table<'a, const N: usize>(
    page: &mut String,
    heads: [&str; N],
    rows: impl Iterator<Item = (&'a [String; N], &'a str)>,
) {
    let heads = heads.map(|column| format!("<th>{column}</th>")).concat();
    let _ = writeln!(page, "<div class=\"scroll\"><table>\n<tr>{heads}</tr>");
    for (row, class) in rows {
        let cells = row.each_ref().map(|cell| format!("<td>{}</td>", escape(cell))).concat();
        let _ = writeln!(page, "<tr{class}>{cells}</tr>");
    }
    page.push_str("</table></div>\n");
}

fn section(page: &mut String, measured: &Measured) {
    let workload = &measured.workload;
    let _ = writeln!(page, "<h2>{}: {}</h2>", workload.name, workload.title);
    page.push_str(&processor_time(measured).unwrap_or_default());
    let rows = rows(measured);
    let class = |entry: &Entry| if entry.failure.is_some() { " class=\"failed\"" } else { "" };
    table(page, COLUMNS, rows.iter().zip(measured.entries.iter().map(class)));
    for remark in remarks(measured) {
        let _ = writeln!(page, "<p>{}</p>", escape(&remark));
    }
}

/// What programs say of themselves can hold anything.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::super::machine::Machine;
    use super::super::super::results::tests::measured;
    use super::*;

    #[test]
    fn the_page_has_a_plot_and_a_table_per_workload_and_needs_nothing_else() {
        let mut measured = measured();
        measured.entries[2].failure = Some("said <b>".to_owned());
        let results = Results {
            machine: Machine { versions: vec!["a & b".to_owned()], ..Machine::default() },
            rounds: (3, 1),
            left_out: Vec::new(),
            workloads: vec![measured.clone(), measured],
        };
        let page = page(&results);
        assert_eq!((page.matches("<svg").count(), page.matches("<table>").count()), (2, 3));
        assert_eq!(page.matches("class=\"failed\"").count(), 2);
        assert!(page.contains("said &lt;b&gt;") && page.contains("a &amp; b"));
        assert!(!page.contains("<script") && !page.contains("src="));
    }
}
