//! A workload as bars: the median of each contender, with its lowest and highest round.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::contender::Program;
use super::super::results::Measured;
use super::super::stats::Spread;

const WIDTH: u32 = 760;
const ROW: u32 = 26;
const AXIS: u32 = 44;

/// Room for the names, on the left, and for the figures behind the longest bar.
const NAMES: u32 = 150;
const FIGURES: f64 = 1.12;

const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb2);
const FLOOR: RGBColor = RGBColor(0x9a, 0x9a, 0x9a);
const THEIRS: RGBColor = RGBColor(0xd0, 0x8a, 0x3c);

/// Processor time per request as an SVG; `None` if nobody has a figure.
pub(super) fn processor_time(measured: &Measured) -> Option<String> {
    let bars: Vec<(&str, Program, Spread)> = measured
        .entries
        .iter()
        .filter_map(|entry| Some((entry.contender.name, entry.contender.program, entry.cpu()?)))
        .collect();
    let longest = bars.iter().map(|(_, _, cpu)| cpu.max).reduce(f64::max)?;
    let mut svg = String::new();
    draw(&mut svg, &bars, longest * FIGURES).ok()?;
    Some(svg)
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(svg: &'a mut String, bars: &[(&str, Program, Spread)], end: f64) -> Drawn<'a> {
    let rows = u32::try_from(bars.len()).unwrap_or(u32::MAX);
    let root = SVGBackend::with_string(svg, (WIDTH, rows * ROW + AXIS)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin_right(16)
        .margin_top(4)
        .set_label_area_size(LabelAreaPosition::Left, NAMES)
        .set_label_area_size(LabelAreaPosition::Bottom, AXIS - 4)
        .build_cartesian_2d(0.0..end, 0.0..f64::from(rows))?;
    chart
        .configure_mesh()
        .disable_y_axis()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .x_desc("processor µs per request (median, lowest and highest round)")
        .draw()?;
    let text = ("sans-serif", 13).into_font();
    for (row, (name, program, cpu)) in bars.iter().enumerate() {
        // The first contender is on top, where the axis ends.
        let middle = f64::from(rows) - row as f64 - 0.5;
        let colour = match program {
            Program::Tidegate(_) => OURS,
            Program::Relay => FLOOR,
            _ => THEIRS,
        };
        let bar = [(0.0, middle - 0.32), (cpu.median, middle + 0.32)];
        let whisker = [(cpu.min, middle), (cpu.max, middle)];
        chart.draw_series([Rectangle::new(bar, colour.filled())])?;
        chart.draw_series([PathElement::new(whisker, BLACK.stroke_width(2))])?;
        let (_, y) = chart.backend_coord(&(0.0, middle));
        let (x, _) = chart.backend_coord(&(cpu.max, middle));
        let left = text.clone().into_text_style(&root).pos(Pos::new(HPos::Right, VPos::Center));
        let right = text.clone().into_text_style(&root).pos(Pos::new(HPos::Left, VPos::Center));
        let names = i32::try_from(NAMES).unwrap_or(0);
        root.draw(&Text::new(*name, (names - 8, y), left))?;
        root.draw(&Text::new(format!("{:.1}", cpu.median), (x + 6, y), right))?;
    }
    root.present()
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;

    #[test]
    fn every_contender_with_a_figure_has_a_bar() {
        let mut measured = measured();
        measured.entries[1].rounds.clear();
        let svg = processor_time(&measured).expect("figures");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for name in ["tidegate", "nginx", "haproxy", "relay"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(!svg.contains("hyper"));
        assert!(svg.contains("50.0"));
    }

    #[test]
    fn without_a_figure_there_is_no_plot() {
        let mut measured = measured();
        measured.entries.iter_mut().for_each(|entry| entry.rounds.clear());
        assert_eq!(processor_time(&measured), None);
    }
}
