//! A drawing that is made of its elements.

use std::fmt::Write;

use super::ink::{Ink, dark_rules};
use super::page::escape;

/// Where a text is beside its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// Right of it.
    Right,
    /// Left of it.
    Left,
    /// On both sides.
    Middle,
}

/// An SVG in the making. All figures are pixels; lines of text stand on their y.
#[derive(Clone, Debug)]
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    elements: String,
}

impl Canvas {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { width, height, elements: String::new() }
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.elements.write_fmt(element);
        self.elements.push('\n');
    }

    /// A rectangle from its upper left corner; `round` is the radius of its corners.
    pub(crate) fn rectangle(&mut self, [x, y, width, height]: [f64; 4], round: f64, ink: Ink) {
        let fill = ink.hex();
        self.element(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             rx=\"{round}\" fill=\"{fill}\"/>"
        ));
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, ink: Ink) {
        let fill = ink.hex();
        self.element(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\"/>"
        ));
    }

    /// A line through these points.
    pub(crate) fn line(&mut self, points: &[(f64, f64)], width: f64, opacity: f64, ink: Ink) {
        let (path, stroke) = (path(points), ink.hex());
        self.element(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" \
             stroke-opacity=\"{opacity}\" stroke-linejoin=\"round\"/>"
        ));
    }

    /// What is between these points.
    pub(crate) fn area(&mut self, points: &[(f64, f64)], ink: Ink) {
        let (path, fill, edge) = (path(points), ink.hex(), Ink::Card.hex());
        self.element(format_args!(
            "<path d=\"{path}Z\" fill=\"{fill}\" stroke=\"{edge}\" stroke-width=\"0.6\"/>"
        ));
    }

    /// A line of text.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), font: Font, ink: Ink, text: &str) {
        let (text, fill) = (escape(text), ink.hex());
        let anchor = match font.side {
            Side::Right => "start",
            Side::Left => "end",
            Side::Middle => "middle",
        };
        let weight = if font.is_bold { " font-weight=\"650\"" } else { "" };
        let size = font.size;
        self.element(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"\
             {weight} fill=\"{fill}\">{text}</text>"
        ));
    }

    /// For a page, whose style sheet has the colours.
    pub(crate) fn end(self) -> String {
        let Self { width, height, elements } = self;
        format!("<svg viewBox=\"0 0 {width:.0} {height:.0}\">\n{elements}</svg>")
    }

    /// By itself, with its own colours and a background. `label` describes it.
    pub(crate) fn document(self, label: &str) -> String {
        let Self { width, height, elements } = self;
        let (label, background, style) = (escape(label), Ink::Card.hex(), dark_rules(&elements));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\">\n<title>{label}</title>\n\
             <style>\n{style}</style>\n\
             <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{background}\"/>\n\
             {elements}</svg>\n"
        )
    }
}

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Font {
    pub(crate) size: f64,
    pub(crate) side: Side,
    pub(crate) is_bold: bool,
}

impl Font {
    pub(crate) const fn new(pixels: f64, side: Side) -> Self {
        Self { size: pixels, side, is_bold: false }
    }

    pub(crate) const fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn() -> Canvas {
        let mut canvas = Canvas::new(100.0, 50.0);
        canvas.rectangle([1.0, 2.0, 3.0, 4.0], 1.0, Ink::Heat(0));
        canvas.line(&[(0.0, 0.0), (9.0, 5.5)], 2.0, 0.5, Ink::Series(0));
        canvas.area(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], Ink::Part(0));
        canvas.circle((5.0, 5.0), 2.0, Ink::Bad);
        canvas.text((7.0, 8.0), Font::new(12.0, Side::Left).bold(), Ink::Text, "<1 & 2>");
        canvas
    }

    #[test]
    fn a_drawing_of_a_page_has_the_colours_of_its_style_sheet() {
        let svg = drawn().end();
        assert!(svg.starts_with("<svg viewBox=\"0 0 100 50\">") && svg.ends_with("</svg>"));
        assert!(svg.contains("d=\"M0.0 0.0L9.0 5.5\"") && svg.contains("L1.0 1.0Z\""), "{svg}");
        assert!(svg.contains("text-anchor=\"end\" font-weight=\"650\""), "{svg}");
        assert!(svg.contains(">&lt;1 &amp; 2&gt;</text>") && !svg.contains("<style>"), "{svg}");
        assert!(svg.contains(&format!("fill=\"{}\"", Ink::Heat(0).hex())), "{svg}");
    }

    #[test]
    fn one_by_itself_says_what_it_is_and_has_a_background_in_both_colour_schemes() {
        let svg = drawn().document("a < b");
        assert!(svg.contains("<title>a &lt; b</title>") && svg.contains("role=\"img\""), "{svg}");
        assert!(svg.contains("@media (prefers-color-scheme: dark)"), "{svg}");
        let background = Ink::Card.hex();
        assert!(svg.contains(&format!("[fill=\"{background}\"] {{ fill: #151d24 }}")), "{svg}");
        assert!(svg.contains(&format!("rx=\"10\" fill=\"{background}\"/>")), "{svg}");
    }
}
