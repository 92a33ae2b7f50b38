//! Bar charts: one line for each run, one panel for each figure.
//!
//! The figure is written after each bar, so there are no axes.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ink::Ink;
use super::plot::{Begun, Drawn};

pub(super) const WIDTH: i32 = 1040;
pub(super) const ROW: i32 = 26;
const HEAD: i32 = 30;

/// Pixels for the names on the left, between panels, and for the figure after the longest bar.
pub(super) const NAMES: i32 = 270;
const GAP: i32 = 28;
const FIGURE: i32 = 64;

/// The name of a run, and how it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    /// Its curves are dashed, and its bars are pale with a border.
    pub(crate) is_dashed: bool,
}

/// How pale a bar is.
pub(super) const PALE: f64 = 0.35;

/// One figure of all runs.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// The figure and its unit.
    pub(crate) title: String,
    /// One per line; `None` for one that has no such figure.
    pub(crate) bars: Vec<Option<Bar>>,
}

/// One figure of one run.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) value: f64,
    /// The lowest and the highest value, if `value` is a median.
    pub(crate) range: Option<(f64, f64)>,
    /// The figure as text.
    pub(crate) text: String,
}

impl Bar {
    fn end(&self) -> f64 {
        self.range.map_or(self.value, |(_, highest)| highest)
    }
}

/// The bars as an SVG; `None` if there are none.
pub(crate) fn bars(lines: &[Line], panels: &[Panel]) -> Option<String> {
    panels.iter().flat_map(|panel| &panel.bars).flatten().next()?;
    let mut svg = String::new();
    draw(&mut svg, lines, panels).ok()?;
    Some(svg)
}

fn draw<'a>(svg: &'a mut String, lines: &[Line], panels: &[Panel]) -> Drawn<'a> {
    let root = names(svg, lines, HEAD)?;
    let text = |ink: Ink| {
        let style = ("sans-serif", 16).into_font().color(&ink.colour());
        style.pos(Pos::new(HPos::Left, VPos::Center))
    };
    let count = i32::try_from(panels.len()).unwrap_or(1).max(1);
    let width = (WIDTH - NAMES - (count - 1) * GAP) / count;
    let mut left = NAMES;
    for panel in panels {
        let title = Text::new(panel.title.as_str(), (left, HEAD / 2), text(Ink::Quiet));
        root.draw(&title)?;
        let longest = panel.bars.iter().flatten().map(Bar::end).fold(0.0, f64::max);
        let x = |value: f64| left + pixels(value / longest, width - FIGURE);
        for (row, (bar, line)) in panel.bars.iter().zip(lines).enumerate() {
            let Some(bar) = bar else { continue };
            let y = HEAD + middle(row);
            let area = [(left, y - ROW / 3), (x(bar.value), y + ROW / 3)];
            let colour = line.ink.colour();
            if line.is_dashed {
                root.draw(&Rectangle::new(area, colour.mix(PALE).filled()))?;
                root.draw(&Rectangle::new(area, colour.stroke_width(1)))?;
            } else {
                root.draw(&Rectangle::new(area, colour.filled()))?;
            }
            if let Some((lowest, highest)) = bar.range {
                let whisker = vec![(x(lowest), y), (x(highest), y)];
                root.draw(&PathElement::new(whisker, Ink::Text.colour().stroke_width(2)))?;
            }
            let place = (x(bar.end()) + 6, y);
            root.draw(&Text::new(bar.text.as_str(), place, text(Ink::Text)))?;
        }
        left += width + GAP;
    }
    root.present()
}

/// A drawing with the names of the lines on its left, below a head of so many pixels.
pub(super) fn names<'a>(svg: &'a mut String, lines: &[Line], head: i32) -> Begun<'a> {
    let rows = i32::try_from(lines.len()).unwrap_or(0);
    let size = (WIDTH.unsigned_abs(), (head + rows * ROW).unsigned_abs());
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    let style = ("sans-serif", 16).into_font().color(&Ink::Text.colour());
    let style = style.pos(Pos::new(HPos::Right, VPos::Center));
    for (row, line) in lines.iter().enumerate() {
        let place = (NAMES - 10, head + middle(row));
        root.draw(&Text::new(line.name.as_str(), place, style.clone()))?;
    }
    Ok(root)
}

/// Where the middle of a line is below the head.
pub(super) fn middle(row: usize) -> i32 {
    i32::try_from(row).unwrap_or(0) * ROW + ROW / 2
}

/// A share of a length; 0 if the share is not finite.
#[expect(clippy::cast_possible_truncation, reason = "a share of a length is a length")]
pub(super) fn pixels(share: f64, length: i32) -> i32 {
    if share.is_finite() { (share * f64::from(length)).round() as i32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64) -> Bar {
        Bar { value, range: None, text: format!("{value:.1}") }
    }

    fn lines() -> Vec<Line> {
        ["one", "two", "<three>"]
            .map(|name| Line { name: name.to_owned(), ink: Ink::Series(1), is_dashed: false })
            .to_vec()
    }

    #[test]
    fn every_figure_has_a_bar_and_its_words() {
        let panel = |bars: [Option<Bar>; 3]| Panel { title: "ms".to_owned(), bars: bars.to_vec() };
        let with_range = Some(Bar { value: 7.0, range: Some((6.0, 8.0)), text: "7".to_owned() });
        let panels = [
            panel([Some(bar(1.5)), None, Some(bar(0.0))]),
            panel([Some(bar(3.0)), with_range, None]),
        ];
        let svg = bars(&lines(), &panels).expect("figures");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!((svg.matches("<rect").count(), svg.matches("<polyline").count()), (4, 1));
        assert_eq!(svg.matches("<text").count(), 3 + 2 + 4);
        assert!(svg.contains("&lt;three&gt;"));
    }

    #[test]
    fn a_dashed_line_has_a_pale_bar_with_a_border() {
        let line = Line { name: "one".to_owned(), ink: Ink::Series(1), is_dashed: true };
        let panel = Panel { title: "ms".to_owned(), bars: vec![Some(bar(1.0))] };
        let svg = bars(&[line], &[panel]).expect("figures");
        assert!(svg.contains("opacity=\"0.35\""), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
    }

    #[test]
    fn without_a_figure_there_is_no_plot() {
        assert_eq!(bars(&lines(), &[]), None);
        assert_eq!(bars(&lines(), &[Panel { title: String::new(), bars: vec![None] }]), None);
    }
}
