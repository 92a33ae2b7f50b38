//! The report as one page.

use super::run::Run;
use super::{Report, plots, tables};
use crate::render::{Ink, Page, escape};

const LATENCY: &str = "Latency is the column latency_ms: from the dispatch of a request to the \
    last byte of the backend's answer. All rows that have a latency count, failed ones too; a \
    request that was never dispatched has none. Errors are a status of 400 or more, or a fault. \
    Requests/s by log are the rows that ended under load, divided by the duration of the load: \
    from the first dispatch to the last, unless it was given. A dispatch is at timestamp minus \
    latency. Rows that ended later were in flight when the load stopped and don't count; nor do \
    rows with outlying times. Requests/s by wrk were counted by the load generator; if all runs \
    have them, runs are compared by them. Quantiles are exact, with linear interpolation between \
    ranks. A shaded row has errors, or its log has broken lines.";

pub(super) fn page(report: &Report) -> String {
    let mut page = Page::new("Comparison of runs");
    let verdicts = tables::verdicts(report);
    if !verdicts.is_empty() {
        page.paragraph(&verdicts.join(" "));
    }
    page.section("Figures", |page| {
        page.push(&tables::figures(report).html());
        page.paragraph(LATENCY);
    });
    page.section("Throughput and latency", |page| comparison(page, report));
    page.section("Share of each backend", |page| distribution(page, report));
    page.section("Distribution of latency", |page| cumulative(page, report));
    page.section("Latency over time", |page| over_time(page, report));
    let remarks = tables::remarks(report);
    if !remarks.is_empty() {
        page.section("Remarks", |page| remarks.iter().for_each(|it| page.paragraph(it)));
    }
    page.end()
}

fn comparison(page: &mut Page, report: &Report) {
    let caption = "Each bar begins at 0. More requests/s are better, lower latency is \
        better.";
    let label = "Bars of requests per second, mean and 95th percentile of latency of each \
        configuration; the figures are in the first table.";
    plot(page, label, caption, plots::comparison(report));
}

fn distribution(page: &mut Page, report: &Report) {
    let backends = tables::backends(report);
    let caption = "The share of each backend in a configuration's requests. The rest to the \
        right was never dispatched.";
    let label = "Bars of the share of each backend; the figures are in the table below.";
    let parts = backends.iter().enumerate();
    page.legend(parts.map(|(index, name)| (Ink::Part(index), tables::short(name).to_owned())));
    plot(page, label, caption, plots::distribution(report, &backends));
    page.push(&tables::shares(report).html());
}

fn cumulative(page: &mut Page, report: &Report) {
    let caption = "The percentage of requests that took at most so many milliseconds. A curve \
        further left is faster; a flat end on the right is a long tail.";
    let label = "Cumulative distribution of latency of each configuration; its quantiles are in \
        the first table.";
    page.legend(runs(report));
    plot(page, label, caption, plots::cumulative(report));
}

fn over_time(page: &mut Page, report: &Report) {
    let plots = plots::over_time(report);
    if plots.is_empty() {
        return page.paragraph("No row has a latency.");
    }
    page.paragraph(
        "Per second, or per few seconds of a long run: the median, and in a paler colour \
         the 95th percentile. All plots have the same scales.",
    );
    page.push("<div class=\"grid\">\n");
    for (run, svg) in plots {
        page.push(&format!("<figure>\n<h3>{}</h3>\n", escape(&run.name)));
        let label = format!("Median and 95th percentile of latency over time, {}", run.name);
        page.drawing(&label, svg.as_deref().unwrap_or_default());
        page.push("</figure>\n");
    }
    page.push("</div>\n");
}

fn plot(page: &mut Page, label: &str, caption: &str, svg: Option<String>) {
    match svg {
        Some(svg) => page.plot(label, caption, &svg),
        None => page.paragraph("There is nothing to draw."),
    }
}

fn runs(report: &Report) -> impl Iterator<Item = (Ink, String)> {
    let runs = report.runs.iter().enumerate();
    runs.map(|(index, run): (usize, &Run)| (plots::ink(index), run.name.clone()))
}
