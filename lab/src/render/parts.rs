//! Shares: one bar of the same length for each run, divided into its parts.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::bars::{Line, NAMES, ROW, WIDTH, middle, names, pixels};
use super::ink::Ink;
use super::plot::Drawn;

/// A part that is narrower than this is drawn without its figure.
const FIGURE: i32 = 46;

/// A part of a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// 0 to 1.
    pub(crate) share: f64,
    /// The number of its colour.
    pub(crate) index: usize,
}

/// The bars, one per line, as an SVG; `None` if they have no parts.
pub(crate) fn parts(lines: &[Line], wholes: &[Vec<Part>]) -> Option<String> {
    wholes.iter().flatten().find(|part| part.share > 0.0)?;
    let mut svg = String::new();
    draw(&mut svg, lines, wholes).ok()?;
    Some(svg)
}

fn draw<'a>(svg: &'a mut String, lines: &[Line], wholes: &[Vec<Part>]) -> Drawn<'a> {
    let root = names(svg, lines, 0)?;
    for (row, whole) in wholes.iter().enumerate() {
        let y = middle(row);
        let mut before = 0.0;
        for part in whole {
            let x = |share: f64| NAMES + pixels(share, WIDTH - NAMES);
            let (left, right) = (x(before), x(before + part.share));
            before += part.share;
            let area = [(left, y - ROW / 3), (right, y + ROW / 3)];
            root.draw(&Rectangle::new(area, Ink::Part(part.index).colour().filled()))?;
            if right - left >= FIGURE {
                let style = ("sans-serif", 15).into_font().color(&Ink::OnPart(part.index).colour());
                let style = style.pos(Pos::new(HPos::Center, VPos::Center));
                let figure = format!("{:.1} %", part.share * 100.0);
                root.draw(&Text::new(figure, (left.midpoint(right), y), style))?;
            }
        }
    }
    root.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_side_by_side_and_the_wide_ones_say_how_much_they_are() {
        let line = Line { name: "one".to_owned(), ink: Ink::Series(0), is_dashed: false };
        let part = |(index, share)| Part { share, index };
        let whole = [0.6, 0.39, 0.01].into_iter().enumerate().map(part).collect();
        let svg = parts(std::slice::from_ref(&line), &[whole]).expect("parts");
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(
            svg.contains("60.0 %") && svg.contains("39.0 %") && !svg.contains("1.0 %"),
            "{svg}"
        );
        assert_eq!(parts(&[line], &[vec![part((0, 0.0))]]), None);
    }
}
