//! Curves over two axes.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::ink::Ink;

type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;
pub(super) type Drawn<'a> = Result<(), Failure<'a>>;
type Charted<'a, 'b, X> =
    Result<ChartContext<'b, SVGBackend<'a>, Cartesian2d<X, RangedCoordf64>>, Failure<'a>>;
pub(super) type Begun<'a> = Result<DrawingArea<SVGBackend<'a>, Shift>, Failure<'a>>;

/// One curve: its points, its colour, and its opacity, 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) ink: Ink,
    pub(crate) opacity: f64,
    pub(crate) is_dashed: bool,
}

/// The length of a dash and of a gap, in pixels.
const DASH: (u32, u32) = (9, 5);

/// The axes.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
    /// What is from left to right, and its unit.
    pub(crate) x_title: &'static str,
    /// What is from bottom to top, and its unit.
    pub(crate) y_title: &'static str,
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
    /// Whether the x axis is logarithmic.
    pub(crate) is_logarithmic: bool,
}

/// The curves as an SVG; `None` if they can't be drawn.
pub(crate) fn curves(scale: &Scale, curves: &[Curve]) -> Option<String> {
    let (from, to) = scale.x;
    let mut svg = String::new();
    if scale.is_logarithmic {
        draw(&mut svg, scale, (from..to).log_scale(), curves).ok()?;
    } else {
        draw(&mut svg, scale, from..to, curves).ok()?;
    }
    Some(svg)
}

fn draw<'a, X>(svg: &'a mut String, scale: &Scale, x: X, curves: &[Curve]) -> Drawn<'a>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let root = SVGBackend::with_string(svg, scale.size).into_drawing_area();
    let mut chart = chart(&root, scale, x)?;
    for curve in curves {
        let style = curve.ink.colour().mix(curve.opacity).stroke_width(2);
        let points = curve.points.clone();
        if curve.is_dashed {
            let dashed = DashedPathElement::new(points, DASH.0, DASH.1, style);
            chart.draw_series([dashed])?;
        } else {
            chart.draw_series([PathElement::new(points, style)])?;
        }
    }
    root.present()
}

/// The axes and the grid, drawn.
pub(super) fn chart<'a, 'b, X>(
    root: &'b DrawingArea<SVGBackend<'a>, Shift>,
    scale: &Scale,
    x: X,
) -> Charted<'a, 'b, X::CoordDescType>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(root)
        .margin_right(20)
        .margin_top(10)
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 44)
        .build_cartesian_2d(x, scale.y.0..scale.y.1)?;
    let small = ("sans-serif", 15).into_font().color(&Ink::Quiet.colour());
    chart
        .configure_mesh()
        .x_labels(8)
        .y_labels(6)
        .bold_line_style(Ink::Grid.colour())
        .light_line_style(TRANSPARENT)
        .axis_style(Ink::Quiet.colour())
        .label_style(small.clone())
        .axis_desc_style(small)
        .x_label_formatter(&|value| plain(*value))
        .y_label_formatter(&|value| plain(*value))
        .x_desc(scale.x_title)
        .y_desc(scale.y_title)
        .draw()?;
    Ok(chart)
}

/// A number without trailing zeros.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_a_line_between_axes_that_say_their_unit() {
        let points = vec![(1.0, 0.0), (10.0, 50.0), (100.0, 100.0)];
        let curve = Curve { points, ink: Ink::Series(2), opacity: 1.0, is_dashed: false };
        for is_logarithmic in [false, true] {
            let scale = Scale {
                size: (400, 200),
                x_title: "ms",
                y_title: "%",
                x: (1.0, 100.0),
                y: (0.0, 100.0),
                is_logarithmic,
            };
            let svg = curves(&scale, std::slice::from_ref(&curve)).expect("a plot");
            let line = format!("stroke=\"{}\" stroke-width=\"2\"", Ink::Series(2).hex());
            assert_eq!(svg.matches(&line).count(), 1, "{svg}");
            assert!(svg.contains(">\nms\n<") && svg.contains(">\n%\n<"), "{svg}");
            let dashed = Curve { is_dashed: true, ..curve.clone() };
            let svg = curves(&scale, &[dashed]).expect("a plot");
            assert!(svg.matches(&line).count() > 9, "{svg}");
        }
    }

    #[test]
    fn figures_have_no_trailing_zeros() {
        for (value, text) in [(0.0, "0"), (0.5, "0.5"), (100.0, "100"), (0.125, "0.125")] {
            assert_eq!(plain(value), text);
        }
    }
}
