//! Results as a page.

use super::super::results::{Measured, Results};
use super::goals::table as goals;
use super::plot::processor_time;
use super::rows::{remarks, rows};
use super::table::summary;
use crate::render::{Page, escape};

const LEGEND: &str = "Each figure is the median of the rounds, with the lowest and the highest in \
    brackets. Processor time is that of all threads and processes of the contender; × nginx and \
    × relay compare its median with that of nginx without a log and of the relay in the same \
    workload. Requests/s are a contender's own limit only where it used its core up; elsewhere (≥) \
    the load's core was the limit. Peak memory counts shared pages once for each process.";

pub(super) fn page(results: &Results) -> String {
    let mut page = Page::new("Processor time per request");
    page.push(&format!("<pre>{}</pre>\n", escape(&summary(results))));
    page.paragraph(LEGEND);
    for measured in &results.workloads {
        let workload = &measured.workload;
        let title = format!("{}: {}", workload.name, workload.title);
        page.section(&title, |page| section(page, measured));
    }
    page.section("Goals", |page| page.push(&goals(results).html()));
    page.end()
}

fn section(page: &mut Page, measured: &Measured) {
    if let Some(bars) = processor_time(measured) {
        page.plot("Processor time per request, as in the table below", "", &bars);
    }
    page.push(&rows(measured).html());
    for remark in remarks(measured) {
        page.paragraph(&remark);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn the_page_has_a_plot_and_a_table_per_workload() {
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
        assert_eq!(page.matches("class=\"marked\"").count(), 2);
        assert!(page.contains("said &lt;b&gt;") && page.contains("a &amp; b"));
    }
}
