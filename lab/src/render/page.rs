//! A page that loads nothing: no script, no font, no image.

use std::fmt::Write;

use super::bars::Line;
use super::ink::{COLOURS, Ink, rules};

const STYLE: &str = "
  body { font: 15px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 78rem }
  body { padding: 1.5rem 1rem 4rem; color: var(--text); background: var(--page) }
  h1 { font-size: 1.6rem; margin: 0 0 .5rem } h2 { font-size: 1.15rem; margin: 0 0 .25rem }
  section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem }
  section { margin: 1.2rem 0; padding: 1rem 1.2rem }
  section > p, figcaption, caption { color: var(--quiet); max-width: 60rem; margin: 0 0 .6rem }
  caption { text-align: left; font-size: .9rem; padding: .3rem 0 }
  figure { margin: 0 } figcaption { font-size: .9rem }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 100% }
  th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid var(--line) }
  th, td { white-space: nowrap }
  thead th { color: var(--quiet); font-weight: 600 }
  th:first-child { text-align: left; padding-left: 0 }
  tbody th { font-weight: 600 } tbody tr:last-child > * { border: 0 }
  tbody th { position: sticky; left: 0; background: var(--card) }
  .marked > *, .marked > th { background: var(--marked) }
  .scroll { overflow-x: auto } .scroll:focus-visible { outline: 2px solid var(--accent) }
  [role=img] svg { display: block; width: 100%; height: auto }
  .scroll svg { min-width: 42rem } .scroll { margin-bottom: .8rem }
  .grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)) }
  .grid h3 { font-size: .95rem; margin: 0 }
  .legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none }
  .legend { margin: 0 0 .5rem; padding: 0; font-size: .9rem }
  .legend svg { width: .8rem; height: .8rem; margin-right: .4rem }
  .legend .line { width: 1.6rem }
  .lead, section > .lead { font-weight: 600; max-width: 60rem; color: var(--text) }
  details { margin: .6rem 0 } summary { cursor: pointer; font-weight: 600; color: var(--accent) }
  details > p { color: var(--quiet); max-width: 60rem; margin: .4rem 0 }
  .heat { border-collapse: separate; border-spacing: 2px; min-width: 0 }
  .heat th, .heat td { border: 0; padding: .3rem .4rem }
  .heat thead th { white-space: normal; text-align: center; vertical-align: bottom; color: inherit }
  .heat thead th:first-child { text-align: left; padding-left: 0 }
  .heat td { border-radius: .3rem; text-align: center; min-width: 4.6rem; font-size: 1.05rem }
  .heat tbody th { white-space: normal; min-width: 6.5rem; text-align: left; padding-left: 0 }
  .heat small { display: block; font-size: .75rem; font-weight: 400; line-height: 1.3 }
  .heat tbody th small { color: var(--quiet); width: 17rem }
  .heat .score { font-weight: 650 } .heat .most { color: var(--accent); font-size: 1.3rem }
  .heat .won { font-weight: 700 }
  a { color: var(--accent) } .heat a { color: inherit }
  @media (width < 50rem) {
    body { padding: 1rem .5rem 3rem } section { padding: .8rem .7rem }
    caption { max-width: calc(100vw - 3rem) } .scroll svg { min-width: 36rem }
    tbody th, thead th:first-child { white-space: normal; min-width: 6.5rem; max-width: 9rem }
    .heat tbody th small { display: none } .heat th { font-size: .8rem }
    .heat td { min-width: 3.4rem; padding: .3rem .1rem; font-size: .95rem }
    .heat td small { white-space: normal }
    .heat tbody th { min-width: 5.5rem }
  }
  .bad { color: var(--bad) }
  pre { white-space: pre-wrap; color: var(--quiet) } svg text { font-family: inherit }
";

/// A page that is written from its beginning to its end. Text in HTML that is passed to it must be
/// escaped.
pub(crate) struct Page(String);

impl Page {
    /// Begins a page with a headline.
    pub(crate) fn new(title: &str) -> Self {
        let title = escape(title);
        let (colours, rules) = (COLOURS.concat(), rules());
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>tidegate: {title}</title>\n<style>\n{colours}{STYLE}{rules}</style>\n\
             <h1>{title}</h1>\n"
        ))
    }

    /// Adds HTML as it is.
    pub(crate) fn push(&mut self, html: &str) {
        self.0 += html;
    }

    /// Adds text as a paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "<p>{}</p>", escape(text));
    }

    /// Adds a plot. `label` describes it for screen readers; `caption` is shown unless it is empty.
    pub(crate) fn plot(&mut self, label: &str, caption: &str, svg: &str) {
        self.0 += "<figure>\n";
        if !caption.is_empty() {
            let _ = writeln!(self.0, "<figcaption>{}</figcaption>", escape(caption));
        }
        self.0 += "<div class=\"scroll\" tabindex=\"0\">";
        self.drawing(label, svg);
        self.0 += "</div>\n</figure>\n";
    }

    /// Adds the drawing of a plot; `label` is as in [`Page::plot`].
    pub(crate) fn drawing(&mut self, label: &str, svg: &str) {
        let label = escape(label);
        let _ = writeln!(self.0, "<div role=\"img\" aria-label=\"{label}\">{svg}</div>");
    }

    /// Adds a section with a headline.
    pub(crate) fn section(&mut self, title: &str, fill: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.0, "<section>\n<h2>{}</h2>", escape(title));
        fill(self);
        self.0 += "</section>\n";
    }

    /// As [`Page::section`], as the target of a link to `#id`.
    pub(crate) fn part(&mut self, id: &str, title: &str, fill: impl FnOnce(&mut Self)) {
        let (id, title) = (escape(id), escape(title));
        let _ = writeln!(self.0, "<section id=\"{id}\">\n<h2>{title}</h2>");
        fill(self);
        self.0 += "</section>\n";
    }

    /// Adds what a click on its title shows or hides.
    pub(crate) fn details(&mut self, title: &str, is_open: bool, fill: impl FnOnce(&mut Self)) {
        let open = if is_open { " open" } else { "" };
        let _ = writeln!(self.0, "<details{open}>\n<summary>{}</summary>", escape(title));
        fill(self);
        self.0 += "</details>\n";
    }

    /// Adds what each colour is.
    pub(crate) fn legend(&mut self, entries: impl Iterator<Item = (Ink, String)>) {
        self.0 += "<ul class=\"legend\">\n";
        for (ink, name) in entries {
            let (fill, name) = (ink.hex(), escape(&name));
            let _ = writeln!(
                self.0,
                "<li><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect width=\"1\" height=\"1\" \
                 fill=\"{fill}\"/></svg>{name}</li>"
            );
        }
        self.0 += "</ul>\n";
    }

    /// Adds what each line of a plot is.
    pub(crate) fn lines(&mut self, lines: &[Line]) {
        self.0 += "<ul class=\"legend\">\n";
        for Line { name, ink, is_dashed } in lines {
            let (stroke, name) = (ink.hex(), escape(name));
            let dashes = if *is_dashed { " stroke-dasharray=\"7 3\"" } else { "" };
            let _ = writeln!(
                self.0,
                "<li><svg class=\"line\" viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path \
                 d=\"M0 4H24\" stroke=\"{stroke}\" stroke-width=\"3\"{dashes}/></svg>{name}</li>"
            );
        }
        self.0 += "</ul>\n";
    }

    /// The whole page.
    pub(crate) fn end(mut self) -> String {
        self.0 += "</html>\n";
        self.0
    }
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_stays_text() {
        let mut page = Page::new("<a>");
        page.section("b & c", |page| page.paragraph("</p><script>\"'"));
        let page = page.end();
        assert!(page.contains("<h1>&lt;a&gt;</h1>") && page.contains("<h2>b &amp; c</h2>"));
        assert!(page.contains("<p>&lt;/p&gt;&lt;script&gt;&quot;&#39;</p>\n</section>\n</html>\n"));
    }

    #[test]
    fn what_is_hidden_at_first_and_what_a_colour_means_is_text_too() {
        let mut page = Page::new("x");
        page.part("a\"", "b", |page| page.details("<c>", true, |page| page.paragraph("d")));
        page.details("e", false, |_| {});
        page.legend([(Ink::Series(2), "<f>".to_owned())].into_iter());
        let page = page.end();
        assert!(page.contains("<section id=\"a&quot;\">\n<h2>b</h2>\n<details open>"), "{page}");
        assert!(page.contains("<summary>&lt;c&gt;</summary>\n<p>d</p>\n</details>"), "{page}");
        assert!(page.contains("<details>\n<summary>e</summary>"), "{page}");
        let colour = format!("fill=\"{}\"/></svg>&lt;f&gt;</li>", Ink::Series(2).hex());
        assert!(page.contains(&colour), "{page}");
    }

    #[test]
    fn a_page_fetches_nothing_and_has_both_colour_schemes() {
        let page = Page::new("x").end();
        for word in ["<script", "src=", "href=", "url(", "@import", "http"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("--page: light-dark(") && page.contains("color-scheme: light dark"));
    }
}
