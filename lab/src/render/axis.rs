//! A logarithmic axis.

/// From a tick to a tick, as a part of a drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogAxis {
    values: (f64, f64),
    pixels: (f64, f64),
}

impl LogAxis {
    /// With all of these values that are above 0, between two places in a drawing; `None` if there
    /// are none.
    pub(crate) fn of(values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Option<Self> {
        let values = values.filter(|it| it.is_finite() && *it > 0.0);
        let (low, high) = values
            .fold((f64::INFINITY, 0f64), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        let low = ticks_from(low / 10.0).take_while(|tick| *tick <= low).last()?;
        let high = ticks_from(low).skip(1).find(|tick| *tick >= high)?;
        Some(Self { values: (low, high), pixels })
    }

    /// The place of a value. What is outside of the axis is at its end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let part = (value.clamp(low, high) / low).ln() / (high / low).ln();
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    /// Values with a label: few enough to leave `room` pixels between them.
    pub(crate) fn ticks(&self, room: f64) -> Vec<f64> {
        let (low, high) = self.values;
        let all: Vec<f64> = ticks_from(low).take_while(|tick| *tick <= high * 1.001).collect();
        let length = (self.pixels.1 - self.pixels.0).abs();
        let is_wide = length / (all.len().max(2) - 1) as f64 >= room;
        if is_wide {
            return all;
        }
        let decades = all.iter().copied().filter(|tick| tick.log10().fract().abs() < 1e-6);
        let decades: Vec<f64> = decades.collect();
        if decades.len() < 2 { vec![low, high] } else { decades }
    }
}

/// 1, 2, 5, 10 and so on, from the first of them that is not less than `from`.
fn ticks_from(from: f64) -> impl Iterator<Item = f64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a logarithm of a positive number is small"
    )]
    let decade = from.log10().floor() as i32;
    let ticks = (decade..).flat_map(|decade| [1.0, 2.0, 5.0].map(|it| it * 10f64.powi(decade)));
    ticks.skip_while(move |tick| *tick < from * 0.999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reaches_from_a_tick_to_a_tick() {
        let axis = LogAxis::of([30.0, 7.0, 0.0, f64::NAN].into_iter(), (0.0, 100.0));
        let axis = axis.expect("values");
        let rounded = |values: Vec<f64>| values.iter().map(|it| it.round()).collect::<Vec<_>>();
        assert_eq!(rounded(axis.ticks(10.0)), [5.0, 10.0, 20.0, 50.0]);
        assert_eq!(rounded(axis.ticks(60.0)), [5.0, 50.0], "less than two decades are there");
        for (value, pixel) in [(5.0, 0.0), (50.0, 100.0), (1.0, 0.0), (900.0, 100.0)] {
            assert!((axis.at(value) - pixel).abs() < 1e-9, "{value}");
        }
        assert!((axis.at(250f64.sqrt()) - 50.0).abs() < 1e-9, "the middle of a decade");
    }

    #[test]
    fn of_one_value_there_are_two_ticks_and_of_none_there_is_no_axis() {
        let axis = LogAxis::of([0.5].into_iter(), (0.0, 10.0)).expect("a value");
        assert_eq!(axis.ticks(5.0).len(), 2);
        assert_eq!(LogAxis::of([0.0].into_iter(), (0.0, 10.0)), None);
    }
}
