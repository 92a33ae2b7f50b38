//! The colours of plots and pages, each for a light and a dark surface.
//!
//! A plot is drawn with the light ones. The page's style sheet finds them again by their values and
//! puts the dark ones in their place where the reader's system asks for it, so a plot needs neither
//! a script nor a twin.

use std::fmt::Write;

use plotters::style::RGBColor;

/// A colour that is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Text and whiskers.
    Text,
    /// Axes and their figures.
    Quiet,
    /// The grid.
    Grid,
    /// What is looked at, as a series of its own; the numbers go round.
    Series(usize),
    /// A part of a whole; the numbers go round.
    Part(usize),
    /// Text on a part.
    OnPart(usize),
}

/// A colour on a light and on a dark surface.
struct Shade {
    light: RGBColor,
    dark: RGBColor,
}

const fn rgb(value: u32) -> RGBColor {
    let [_, red, green, blue] = value.to_be_bytes();
    RGBColor(red, green, blue)
}

const fn shade(light: u32, dark: u32) -> Shade {
    Shade { light: rgb(light), dark: rgb(dark) }
}

const TEXT: Shade = shade(0x15_212b, 0xe4_ebf0);
const QUIET: Shade = shade(0x56_6573, 0x94_a4b2);
const GRID: Shade = shade(0xe1_e6ea, 0x27_323c);

/// Told apart by people who see few colours, too: their lightness differs.
const SERIES: [Shade; 8] = [
    shade(0x0b_6cb8, 0x58_aef0),
    shade(0xcc_5a00, 0xff_9752),
    shade(0x12_875f, 0x45_cf9e),
    shade(0x9a_4a8e, 0xdf_95d3),
    shade(0x8a_6d00, 0xe2_c14e),
    shade(0x2b_8fb3, 0x7f_d3ee),
    shade(0xa8_3f4e, 0xff_8f9d),
    shade(0x5d_6b78, 0xa5_b4c1),
];

/// Shades of one colour, neighbours far apart.
const PARTS: [Shade; 4] = [
    shade(0x2f_4858, 0x8f_b3c7),
    shade(0x8f_b1bf, 0x3d_5a6c),
    shade(0x53_7a8c, 0x62_8ca3),
    shade(0xc5_d8e0, 0x2a_404e),
];

/// What can be read on each of them.
const ON_PARTS: [Shade; 4] = [
    shade(0xff_fffe, 0x0d_1318),
    shade(0x10_1a22, 0xf2_f6f8),
    shade(0xff_fffd, 0x0d_1319),
    shade(0x10_1a23, 0xf2_f6f9),
];

impl Ink {
    fn shade(self) -> &'static Shade {
        match self {
            Self::Text => &TEXT,
            Self::Quiet => &QUIET,
            Self::Grid => &GRID,
            Self::Series(number) => &SERIES[number % SERIES.len()],
            Self::Part(number) => &PARTS[number % PARTS.len()],
            Self::OnPart(number) => &ON_PARTS[number % ON_PARTS.len()],
        }
    }

    /// The colour to draw with.
    pub(crate) fn colour(self) -> RGBColor {
        self.shade().light
    }

    /// The colour as the drawing spells it.
    pub(crate) fn hex(self) -> String {
        hex(self.colour())
    }
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// The rules that put the dark colours in the place of the light ones.
pub(super) fn dark_rules() -> String {
    let mut rules = String::new();
    let shades = [&TEXT, &QUIET, &GRID].into_iter().chain(&SERIES).chain(&PARTS).chain(&ON_PARTS);
    for Shade { light, dark } in shades {
        let (light, dark) = (hex(*light), hex(*dark));
        // Writing to a String can't fail.
        let _ = writeln!(
            rules,
            "    [fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}"
        );
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_colour_is_found_again_by_its_value() {
        let rules = dark_rules();
        let inks = [Ink::Text, Ink::Quiet, Ink::Grid].into_iter();
        let series = (0..SERIES.len()).map(Ink::Series);
        let parts = (0..PARTS.len()).flat_map(|part| [Ink::Part(part), Ink::OnPart(part)]);
        let inks: Vec<Ink> = inks.chain(series).chain(parts).collect();
        let distinct: HashSet<String> = inks.iter().map(|ink| ink.hex()).collect();
        assert_eq!(distinct.len(), inks.len(), "two inks of one colour would turn into one");
        for ink in distinct {
            assert_eq!(rules.matches(&format!("[fill=\"{ink}\"]")).count(), 1, "{ink}");
        }
    }

    #[test]
    fn colours_go_round() {
        assert_eq!(Ink::Series(8).colour(), Ink::Series(0).colour());
        assert_eq!(Ink::Part(5).colour(), Ink::Part(1).colour());
    }
}
