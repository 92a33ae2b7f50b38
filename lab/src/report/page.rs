//! The report as one page.

use super::plots::OverTime;
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
    let lines = |page: &mut Page, lines: &[String]| lines.iter().for_each(|it| page.paragraph(it));
    lines(&mut page, &tables::verdicts(report));
    page.section("Figures", |page| {
        page.push(&tables::figures(report).html());
        page.paragraph(LATENCY);
        for table in [tables::repetitions(report), tables::changes(report)].into_iter().flatten() {
            page.push(&table.html());
        }
    });
    page.section("Throughput and latency", |page| comparison(page, report));
    page.section("Share of each backend", |page| distribution(page, report));
    page.section("Distribution of latency", |page| cumulative(page, report));
    page.section("Over time", |page| over_time(page, report));
    for (title, found) in [
        ("How the runs were made", tables::conditions(report)),
        ("Remarks", tables::remarks(report)),
        ("What the data say", tables::sentences(report)),
    ] {
        if !found.is_empty() {
            page.section(title, |page| lines(page, &found));
        }
    }
    page.end()
}

fn comparison(page: &mut Page, report: &Report) {
    page.paragraph(
        "Each bar begins at 0. More requests/s are better, lower latency is better. Pale bars with \
         a border, and dashed lines below, are of non-persistent connections.",
    );
    let label = "Bars of requests per second, mean, 95th and 99th percentile of latency of each \
        configuration; the figures are in the first table.";
    for svg in plots::comparison(report) {
        plot(page, label, "", svg);
    }
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
    page.lines(&plots::lines(report));
    plot(page, label, caption, plots::cumulative(report));
}

fn over_time(page: &mut Page, report: &Report) {
    let backends = tables::backends(report);
    let plots = plots::over_time(report, &backends);
    if plots.is_empty() {
        return page.paragraph("No row has a latency.");
    }
    page.paragraph(
        "Per second, or per few seconds of a long run: the median, in a paler colour the 95th \
         percentile, and below them the share of each backend. All plots have the same scales.",
    );
    let parts = backends.iter().enumerate();
    page.legend(parts.map(|(index, name)| (Ink::Part(index), tables::short(name).to_owned())));
    page.push("<div class=\"grid\">\n");
    for OverTime { run, latency, shares } in plots {
        page.push(&format!("<figure>\n<h3>{}</h3>\n", escape(&run.name)));
        let label = format!("Median and 95th percentile of latency over time, {}", run.name);
        page.drawing(&label, latency.as_deref().unwrap_or_default());
        if let Some(shares) = shares {
            page.drawing(&format!("Share of each backend over time, {}", run.name), &shares);
        }
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
