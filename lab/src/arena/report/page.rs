//! The results as a page.

use std::fmt::Write;

use super::super::results::{Entrant, Measured, Results};
use super::phases::{events, groups};
use super::series::{Scales, group_inks};
use super::standing::Standing;
use super::{heat, simulated, tables, tails, text};
use crate::render::{Ink, Page, escape};

const HEAT: &str = "Each cell is the p99 of a contender as a multiple of the best in the same \
    scenario, with the p99 itself or what went wrong below. Lower is better. =: the rounds do not \
    tell it from the best; !: a round was disturbed. If a scenario has too few requests \
    for a p99, a lower quantile is beside its name.";

const TAILS: &str =
    "Bar: p50. Dots: p95, p99 (large) and, if known, p99.9. Further left is faster.";

const OVER_TIME: &str = "Above: p99 (and in a paler line p50), in ms, of the requests of each \
    moment; red at its foot: moments with errors. Below: which part of the requests each backend \
    received, in %. Yellow: what the script does; grey: the warm-up, which counts nowhere else. \
    All contenders have the same scales.";

const SIMULATED: &str = "How much higher what was measured is than what the simulator says of the \
    same file and policy. Beyond 15 % (!) one of the two is wrong, or the simulator does not model \
    what matters there.";

pub(super) fn document(results: &Results) -> String {
    let standings: Vec<Standing> = results.scenarios.iter().map(Standing::of).collect();
    let mut page = Page::new("The arena: who has the shortest tail");
    page.push(&format!("<p class=\"lead\">{}</p>\n", escape(&text::winner(results, &standings))));
    page.section("Who wins where", |page| {
        page.paragraph(HEAT);
        let steps = heat::STEP_NAMES.iter().enumerate();
        page.legend(steps.map(|(step, name)| (Ink::Heat(step), (*name).to_owned())));
        page.push(&heat::html(results, &standings));
    });
    for (index, (measured, standing)) in results.scenarios.iter().zip(&standings).enumerate() {
        let id = format!("scenario-{index}");
        page.part(&id, &measured.name, |page| scenario(page, results, measured, standing));
    }
    if let Some(table) = simulated::overview(results, &standings) {
        page.section("Measured against simulated", |page| {
            page.paragraph(SIMULATED);
            page.push(&table.html());
        });
    }
    page.section("Contenders", |page| {
        results.contenders.iter().for_each(|it| contender(page, it));
        for absence in &results.left_out {
            page.paragraph(&format!("Left out: {absence}"));
        }
    });
    page.section("How it was measured", |page| {
        page.paragraph(&text::machine(results));
        for rule in text::rules(results) {
            page.paragraph(&rule);
        }
    });
    page.end()
}

fn scenario(page: &mut Page, results: &Results, measured: &Measured, standing: &Standing) {
    let contenders = &results.contenders;
    page.paragraph(&format!("{}.", measured.scenario.about));
    page.push(&format!(
        "<p class=\"lead\">{}</p>\n",
        escape(&text::winners(results, measured, standing))
    ));
    if let Some(svg) = tails::picture(contenders, measured, standing) {
        page.plot("Latency at p50 to p99.9, as in the table below", TAILS, &svg);
    }
    page.push(&tables::figures(contenders, measured, standing).html());
    for remark in tables::remarks(contenders, measured, standing) {
        page.paragraph(&remark);
    }
    for index in 0..measured.scenario.focus.len() {
        page.push(&tables::focus(contenders, measured, index).html());
    }
    over_time(page, contenders, measured);
    if let Some(table) = simulated::table(contenders, measured) {
        page.details("Measured and simulated", false, |page| page.push(&table.html()));
    }
    page.details("The scenario's file", false, |page| {
        page.push(&format!("<pre>{}</pre>\n", escape(&measured.scenario.to_string())));
    });
}

fn over_time(page: &mut Page, contenders: &[Entrant], measured: &Measured) {
    let Some(scales) = Scales::of(measured) else { return };
    let scenario = &measured.scenario;
    let events = events(scenario);
    let changes = !events.is_empty() || scenario.backends.iter().any(|it| it.drift.is_some());
    let mut shares = tables::distribution(contenders, measured);
    let title = std::mem::take(&mut shares.caption);
    page.details(&title, !changes, |page| page.push(&shares.html()));
    page.details("Over time", changes, |page| {
        page.paragraph(OVER_TIME);
        let mut told = String::new();
        for event in events {
            let separator = if told.is_empty() { "Script: " } else { "; " };
            let (backends, what, when) = (event.backends, event.what, event.when);
            let _ = write!(told, "{separator}backend {backends} {what}, {when}");
        }
        if !told.is_empty() {
            page.paragraph(&format!("{told}."));
        }
        let inks = group_inks(&scenario.backends);
        let name = |(numbers, group): (String, &crate::scenario::Group)| {
            format!("{numbers}: {}", group.service)
        };
        page.legend(inks.into_iter().zip(groups(scenario).map(name)));
        page.push("<div class=\"grid\">\n");
        for entry in &measured.entries {
            let Some(svg) = scales.picture(entry) else { continue };
            let name = tables::name(contenders, entry);
            page.push(&format!("<figure>\n<h3>{}</h3>\n", escape(name)));
            page.drawing(&format!("p99 and the backends' shares over time, {name}"), &svg);
            page.push("</figure>\n");
        }
        page.push("</div>\n");
    });
}

fn contender(page: &mut Page, contender: &Entrant) {
    let title = format!("{}: {}", contender.name, contender.version);
    page.details(&title, false, |page| {
        let choice = |choice: &String| format!("<li>{}</li>\n", escape(choice));
        let choices: String = contender.choices.iter().map(choice).collect();
        page.push(&format!("<ul>\n{choices}</ul>\n"));
        page.push(&format!("<pre>{}</pre>\n", escape(&contender.configuration)));
    });
}
