//! The colours of plots and pages: those of the dashboard, and some for reports only.
//!
//! A plot is drawn with the light variant of each colour. The page's style sheet finds the colours
//! again by their values and replaces them by the variables, which have a dark variant, too. So a
//! plot needs no script and is drawn once.

use std::fmt::Write;

use plotters::style::RGBColor;

/// The style sheets that define the colours.
pub(super) const COLOURS: [&str; 2] =
    [include_str!("../../../web/colours.css"), include_str!("colours.css")];

/// How many series have a colour of their own. The colours differ in lightness, too, so that people
/// who see few colours can distinguish them.
const SERIES: usize = 8;

/// How many parts have a colour of their own: shades of one colour, neighbours far apart.
const PARTS: usize = 4;

/// How many steps a heat map has: from the best over the middle to the worst, and one for what is
/// not ranked. Blue and orange, because nearly everybody can tell these apart.
pub(crate) const HEATS: usize = 8;

/// A colour that is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Text and whiskers.
    Text,
    /// Axes and their figures.
    Quiet,
    /// The grid.
    Grid,
    /// A series of its own; beyond the last colour they begin again.
    Series(usize),
    /// A part of a whole; beyond the last colour they begin again.
    Part(usize),
    /// Text on a part.
    OnPart(usize),
    /// A step of a heat map; all beyond the last are like it.
    Heat(usize),
    /// Text on it.
    OnHeat(usize),
    /// What is behind plots.
    Card,
    /// What is behind a part of a plot that does not count.
    Page,
    /// What is behind a part of a plot in which something happens.
    Phase,
    /// Errors.
    Bad,
}

impl Ink {
    fn all() -> impl Iterator<Item = Self> {
        let parts = (0..PARTS).flat_map(|part| [Self::Part(part), Self::OnPart(part)]);
        let heats = (0..HEATS).flat_map(|heat| [Self::Heat(heat), Self::OnHeat(heat)]);
        let series = (0..SERIES).map(Self::Series);
        let single = [Self::Text, Self::Quiet, Self::Grid];
        let single = single.into_iter().chain([Self::Card, Self::Page, Self::Phase, Self::Bad]);
        single.chain(series).chain(parts).chain(heats)
    }

    /// The name of its variable in the style sheets.
    fn variable(self) -> String {
        match self {
            Self::Text => "--text".to_owned(),
            Self::Quiet => "--quiet".to_owned(),
            Self::Grid => "--line".to_owned(),
            Self::Series(number) => format!("--backend-{}", number % SERIES),
            Self::Part(number) => format!("--part-{}", number % PARTS),
            Self::OnPart(number) => format!("--on-part-{}", number % PARTS),
            Self::Heat(step) => format!("--heat-{}", step.min(HEATS - 1)),
            Self::OnHeat(step) => format!("--on-heat-{}", step.min(HEATS - 1)),
            Self::Card => "--card".to_owned(),
            Self::Page => "--page".to_owned(),
            Self::Phase => "--phase".to_owned(),
            Self::Bad => "--bad".to_owned(),
        }
    }

    /// What the style sheets say: the light variant, then the dark one, as `#ffffff`.
    fn variants(self) -> Option<(&'static str, &'static str)> {
        let begin = format!("{}: light-dark(", self.variable());
        let rest = COLOURS.iter().find_map(|sheet| Some(sheet.split_once(&begin)?.1))?;
        rest.split_once(')')?.0.split_once(", ")
    }

    /// The colour to draw with.
    pub(crate) fn colour(self) -> RGBColor {
        let digits = self.variants().and_then(|(light, _)| light.strip_prefix('#'));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = value.unwrap_or_default().to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// The colour as the drawing spells it.
    pub(crate) fn hex(self) -> String {
        let RGBColor(red, green, blue) = self.colour();
        format!("#{red:02X}{green:02X}{blue:02X}")
    }
}

/// The rules that replace the colours of a drawing by variables.
pub(super) fn rules() -> String {
    let mut rules = String::new();
    for ink in Ink::all() {
        let (colour, variable) = (ink.hex(), ink.variable());
        // Writing to a String can't fail.
        let _ = writeln!(
            rules,
            "  [fill=\"{colour}\"] {{ fill: var({variable}) }} \
             [stroke=\"{colour}\"] {{ stroke: var({variable}) }}"
        );
    }
    rules
}

/// The rules that give a drawing without style sheets its dark colours.
pub(super) fn dark_rules(drawing: &str) -> String {
    let mut rules = "@media (prefers-color-scheme: dark) {\n".to_owned();
    for ink in Ink::all().filter(|ink| *ink == Ink::Card || drawing.contains(&ink.hex())) {
        let (colour, dark) = (ink.hex(), ink.variants().map_or("", |(_, dark)| dark));
        let _ = writeln!(
            rules,
            "  [fill=\"{colour}\"] {{ fill: {dark} }} [stroke=\"{colour}\"] {{ stroke: {dark} }}"
        );
    }
    rules + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_colour_is_defined_and_found_again_by_its_value() {
        let rules = rules();
        let inks: Vec<Ink> = Ink::all().collect();
        let distinct: HashSet<String> = inks.iter().map(|ink| ink.hex()).collect();
        assert_eq!(distinct.len(), inks.len(), "two inks of one colour would turn into one");
        assert!(!distinct.contains("#000000"), "one has no definition");
        for ink in distinct {
            assert_eq!(rules.matches(&format!("[fill=\"{ink}\"]")).count(), 1, "{ink}");
        }
    }

    #[test]
    fn a_drawing_by_itself_brings_its_dark_colours() {
        let rules = dark_rules(&format!("fill=\"{}\"", Ink::Bad.hex()));
        assert!(rules.contains("[fill=\"#C22F2F\"] { fill: #ff7d78 }"), "{rules}");
        assert_eq!(rules.lines().count(), 4, "of the background, and of what is drawn: {rules}");
    }

    #[test]
    fn there_are_as_many_series_as_backends_on_the_dashboard() {
        let last = format!("--backend-{}:", SERIES - 1);
        let one_more = format!("--backend-{SERIES}:");
        assert!(COLOURS[0].contains(&last) && !COLOURS[0].contains(&one_more));
    }

    #[test]
    fn colours_begin_again() {
        assert_eq!(Ink::Series(8).colour(), Ink::Series(0).colour());
        assert_eq!(Ink::Part(5).colour(), Ink::Part(1).colour());
    }
}
