//! Who wins where: each scenario by each contender, as a table and as a picture.

use std::fmt::Write;

use super::super::results::Results;
use super::seen::Quantile;
use super::standing::{NOTHING, Place, Standing, Verdict};
use crate::render::{Canvas, Font, HEATS, Ink, Side, escape, figure};

/// Up to which multiple of the best a cell has the colour of each step after the first, which is
/// that of the best.
const STEPS: [f64; 5] = [1.1, 1.25, 1.5, 2.0, 4.0];

/// The step of what is not ranked.
const UNRANKED: usize = HEATS - 1;

/// The steps in words.
pub(super) const STEP_NAMES: [&str; HEATS] =
    ["best, or equal (=)", "≤ 1.1 ×", "≤ 1.25", "≤ 1.5", "≤ 2", "≤ 4", "more", "not ranked"];

/// A contender in a scenario.
struct Cell {
    step: usize,
    /// How many times the best.
    ratio: String,
    /// The latency, or what is wrong.
    note: String,
    is_wrong: bool,
    is_best: bool,
}

/// A contender in all scenarios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// Scenarios in which it is the best or equal to the best.
    pub(super) wins: usize,
    /// Its highest ratio where it is ranked.
    pub(super) worst: Option<f64>,
    /// Scenarios in which it is not ranked.
    pub(super) unranked: usize,
}

impl Score {
    pub(super) fn of(standings: &[Standing], contender: usize) -> Self {
        let contests = standings.iter().filter(|standing| standing.is_contest());
        let places = contests.filter_map(|standing| standing.place(contender));
        let (ranked, others): (Vec<&Place>, Vec<&Place>) =
            places.partition(|place| place.verdict.is_ranked());
        let ratios = ranked.iter().filter_map(|place| place.times);
        Self {
            wins: ranked.iter().filter(|place| place.verdict.is_best()).count(),
            worst: ratios.reduce(f64::max),
            unranked: others.len(),
        }
    }

    /// The highest ratio, or where it is not known, in words.
    pub(super) fn worst_text(&self) -> String {
        self.worst.map_or(NOTHING.to_owned(), |worst| format!("{worst:.2} ×"))
    }
}

/// One cell for each contender, also for those that did not run in this scenario.
fn cells(results: &Results, standing: &Standing) -> impl Iterator<Item = Cell> {
    (0..results.contenders.len()).map(|contender| cell(standing, contender))
}

fn cell(standing: &Standing, contender: usize) -> Cell {
    let Some(place) = standing.place(contender) else {
        let (ratio, note) = (NOTHING.to_owned(), String::new());
        return Cell { step: UNRANKED, ratio, note, is_wrong: false, is_best: false };
    };
    let is_contest = standing.is_contest();
    let step = match (place.verdict, place.times) {
        _ if !is_contest => UNRANKED,
        (Verdict::Best, _) => 0,
        (Verdict::Equal, Some(times)) if times <= STEPS[0] => 0,
        (Verdict::Equal | Verdict::Behind, Some(times)) => {
            1 + STEPS.iter().take_while(|limit| times > **limit).count()
        }
        _ => UNRANKED,
    };
    let wrong = place.wrong();
    let is_wrong = wrong.is_some();
    let latency = || place.ms.map_or(String::new(), |ms| format!("{} ms", figure(ms)));
    let mut note = wrong.unwrap_or_else(latency);
    if place.is_disturbed {
        note += " !";
    }
    let is_best = is_contest && place.verdict.is_best();
    Cell { step, ratio: place.times_text(), note, is_wrong, is_best }
}

/// What a scenario is compared by, if that is no p99.
pub(super) fn other_quantile(standing: &Standing) -> String {
    match standing.quantile {
        Quantile::P99 => String::new(),
        lower => format!(" ({})", lower.name()),
    }
}

/// The heat map as a table of a page.
pub(super) fn html(results: &Results, standings: &[Standing]) -> String {
    let mut html = "<div class=\"scroll\" tabindex=\"0\"><table class=\"heat\">\n<thead><tr>\
        <th scope=\"col\">scenario</th>"
        .to_owned();
    for contender in &results.contenders {
        let name = escape(&contender.name).replace('-', "-<wbr>");
        // Writing to a String can't fail.
        let _ = write!(html, "<th scope=\"col\">{name}</th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    let scores: Vec<Score> =
        (0..results.contenders.len()).map(|it| Score::of(standings, it)).collect();
    let most = scores.iter().map(|score| score.wins).max();
    let of = Standing::contests(standings);
    let _ = write!(html, "<tr class=\"score\"><th scope=\"row\">best or equal, of {of}</th>");
    for score in &scores {
        let class = if Some(score.wins) == most { " class=\"most\"" } else { "" };
        let _ = write!(html, "<td{class}>{}</td>", score.wins);
    }
    html += "</tr>\n<tr class=\"score\"><th scope=\"row\">at worst</th>";
    for score in &scores {
        let unranked = match score.unranked {
            0 => String::new(),
            count => format!("<small class=\"bad\">{count} not ranked</small>"),
        };
        let _ = write!(html, "<td>{}{unranked}</td>", score.worst_text());
    }
    html += "</tr>\n";
    for (index, (measured, standing)) in results.scenarios.iter().zip(standings).enumerate() {
        let (name, about) = (escape(&measured.name), escape(&measured.scenario.about));
        let quantile = other_quantile(standing);
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><a href=\"#scenario-{index}\">{name}</a>{quantile}\
             <small>{about}</small></th>"
        );
        for Cell { step, ratio, note, is_wrong, is_best } in cells(results, standing) {
            let class = if is_wrong && step == UNRANKED { " class=\"bad\"" } else { "" };
            let won = if is_best { " class=\"won\"" } else { "" };
            let _ = write!(
                html,
                "<td{won} style=\"background: var(--heat-{step}); color: var(--on-heat-{step})\">\
                 {ratio}<small{class}>{}</small></td>",
                escape(&note)
            );
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

const NAMES: f64 = 190.0;
const COLUMN: f64 = 92.0;
const ROW: f64 = 40.0;
const HEAD: f64 = 66.0;
const MARGIN: f64 = 16.0;
const FOOT: f64 = 36.0;

/// The heat map as a picture by itself.
pub(super) fn picture(results: &Results, standings: &[Standing]) -> String {
    let columns = results.contenders.len();
    // The legend needs some width, too.
    let width = (2.0 * MARGIN + NAMES + COLUMN * columns as f64).max(760.0);
    // The rows of scenarios follow one of scores.
    let rows = standings.len() + 1;
    let height = MARGIN + HEAD + ROW * rows as f64 + FOOT + MARGIN;
    let mut canvas = Canvas::new(width, height);
    let left = |column: usize| MARGIN + NAMES + COLUMN * column as f64;
    for (column, contender) in results.contenders.iter().enumerate() {
        let parts: Vec<&str> = contender.name.split('-').collect();
        for (line, part) in parts.iter().rev().enumerate() {
            let place = (left(column) + COLUMN / 2.0, MARGIN + HEAD - 10.0 - 16.0 * line as f64);
            canvas.text(place, Font::new(13.0, Side::Middle).bold(), Ink::Text, part);
        }
        let score = Score::of(standings, column);
        let place = (left(column) + COLUMN / 2.0, MARGIN + HEAD + 25.0);
        let text = format!("{}", score.wins);
        canvas.text(place, Font::new(19.0, Side::Middle).bold(), Ink::Text, &text);
    }
    let name = Font::new(14.0, Side::Right);
    for (y, text) in [(20.0, "p99, as a multiple"), (38.0, "of the best")] {
        canvas.text((MARGIN, MARGIN + y), name, Ink::Quiet, text);
    }
    let text = format!("best or equal, of {}", Standing::contests(standings));
    canvas.text((MARGIN, MARGIN + HEAD + 24.0), name, Ink::Quiet, &text);
    for (row, (measured, standing)) in results.scenarios.iter().zip(standings).enumerate() {
        let top = MARGIN + HEAD + ROW * (row + 1) as f64;
        let text = format!("{}{}", measured.name, other_quantile(standing));
        canvas.text((MARGIN, top + 25.0), name.bold(), Ink::Text, &text);
        for (column, cell) in cells(results, standing).enumerate() {
            draw(&mut canvas, (left(column), top), &cell);
        }
    }
    legend(&mut canvas, height - MARGIN - 12.0);
    let label = format!(
        "p99 of {columns} contenders in {} scenarios, as a multiple of the best",
        standings.len()
    );
    canvas.document(&label)
}

fn draw(canvas: &mut Canvas, (x, y): (f64, f64), cell: &Cell) {
    let area = [x + 1.5, y + 1.5, COLUMN - 3.0, ROW - 3.0];
    canvas.rectangle(area, 4.0, Ink::Heat(cell.step));
    let (middle, ink) = (x + COLUMN / 2.0, Ink::OnHeat(cell.step));
    let large = Font::new(15.0, Side::Middle);
    let large = if cell.is_best { large.bold() } else { large };
    canvas.text((middle, y + 19.0), large, ink, &cell.ratio);
    let ink = if cell.is_wrong && cell.step == UNRANKED { Ink::Bad } else { ink };
    canvas.text((middle, y + 33.0), Font::new(11.0, Side::Middle), ink, &cell.note);
}

fn legend(canvas: &mut Canvas, y: f64) {
    let mut x = MARGIN;
    for (step, name) in STEP_NAMES.iter().enumerate() {
        canvas.rectangle([x, y - 1.0, 14.0, 14.0], 3.0, Ink::Heat(step));
        canvas.text((x + 20.0, y + 10.5), Font::new(12.0, Side::Right), Ink::Quiet, name);
        x += 40.0 + 6.6 * name.chars().count() as f64;
    }
}
