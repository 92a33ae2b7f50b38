//! Shares over time: areas that lie one above the other.

use plotters::prelude::*;

use super::ink::Ink;
use super::plot::{Drawn, Scale, chart};

/// The share of one part over time.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    /// The number of its colour.
    pub(crate) index: usize,
    /// Its lower and its upper edge at each of the times.
    pub(crate) edges: Vec<(f64, f64)>,
}

/// The areas as an SVG, each between two times and the next; `None` if there are none. `times` has
/// one more than an area has edges: the end of the last.
pub(crate) fn areas(scale: &Scale, times: &[f64], areas: &[Area]) -> Option<String> {
    areas.iter().flat_map(|area| &area.edges).find(|(low, high)| high > low)?;
    let mut svg = String::new();
    draw(&mut svg, scale, times, areas).ok()?;
    Some(svg)
}

fn draw<'a>(svg: &'a mut String, scale: &Scale, times: &[f64], areas: &[Area]) -> Drawn<'a> {
    let root = SVGBackend::with_string(svg, scale.size).into_drawing_area();
    let mut chart = chart(&root, scale, scale.x.0..scale.x.1)?;
    for area in areas {
        let steps = || area.edges.iter().zip(times.windows(2));
        let upper = steps().flat_map(|(edge, time)| [(time[0], edge.1), (time[1], edge.1)]);
        let lower = steps().rev().flat_map(|(edge, time)| [(time[1], edge.0), (time[0], edge.0)]);
        let outline: Vec<_> = upper.chain(lower).collect();
        chart.draw_series([Polygon::new(outline, Ink::Part(area.index).colour().filled())])?;
    }
    root.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_have_the_colours_of_their_parts() {
        let scale = Scale {
            size: (400, 100),
            x_title: "s",
            y_title: "%",
            x: (0.0, 2.0),
            y: (0.0, 100.0),
            is_logarithmic: false,
        };
        let lower = Area { index: 0, edges: vec![(0.0, 50.0), (0.0, 100.0)] };
        let upper = Area { index: 1, edges: vec![(50.0, 100.0), (100.0, 100.0)] };
        let svg = areas(&scale, &[0.0, 1.0, 2.0], &[lower, upper]).expect("areas");
        for index in [0, 1] {
            let fill = format!("<polygon opacity=\"1\" fill=\"{}\"", Ink::Part(index).hex());
            assert_eq!(svg.matches(&fill).count(), 1, "{svg}");
        }
        assert_eq!(areas(&scale, &[0.0], &[Area { index: 0, edges: Vec::new() }]), None);
    }
}
