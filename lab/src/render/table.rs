//! Tables for a terminal, for Markdown and for a page.

use std::fmt::Write;

use super::page::escape;

/// A table. The first column names the rows; the others are figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// A description, for a page only.
    pub(crate) caption: String,
    /// The heads of the columns.
    pub(crate) heads: Vec<String>,
    /// The rows in order.
    pub(crate) rows: Vec<Row>,
}

/// One row of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// One per column.
    pub(crate) cells: Vec<String>,
    /// Whether it is highlighted in a page.
    pub(crate) is_marked: bool,
}

impl Table {
    /// As text, with columns aligned by spaces.
    pub(crate) fn text(&self) -> String {
        let lines = || [&self.heads].into_iter().chain(self.rows.iter().map(|row| &row.cells));
        let width = |column: usize| {
            let cells = lines().filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut text = String::new();
        for cells in lines() {
            let mut line = String::new();
            for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                // Writing to a String can't fail.
                let _ = match column {
                    0 => write!(line, "{cell:<width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| plain_markdown(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|---|{}\n", "---:|".repeat(self.heads.len().saturating_sub(1)));
        let rows = self.rows.iter().map(|row| line(&row.cells));
        line(&self.heads) + &rule + &rows.collect::<String>()
    }

    /// As HTML, with row and column heads for screen readers.
    pub(crate) fn html(&self) -> String {
        let mut html = "<div class=\"scroll\" tabindex=\"0\"><table>\n".to_owned();
        if !self.caption.is_empty() {
            let _ = writeln!(html, "<caption>{}</caption>", escape(&self.caption));
        }
        let head = |cell: &String| format!("<th scope=\"col\">{}</th>", escape(cell));
        let heads: String = self.heads.iter().map(head).collect();
        let _ = writeln!(html, "<thead><tr>{heads}</tr></thead>\n<tbody>");
        for row in &self.rows {
            let class = if row.is_marked { " class=\"marked\"" } else { "" };
            let cell = |(column, cell): (usize, &String)| match column {
                0 => format!("<th scope=\"row\">{}</th>", escape(cell)),
                _ => format!("<td>{}</td>", escape(cell)),
            };
            let cells: String = row.cells.iter().enumerate().map(cell).collect();
            let _ = writeln!(html, "<tr{class}>{cells}</tr>");
        }
        html += "</tbody></table></div>\n";
        html
    }
}

/// Text as Markdown, without what would end a cell or begin HTML or code.
pub(crate) fn plain_markdown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if "|<`\\".contains(character) {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 3], is_marked| Row {
            cells: cells.map(str::to_owned).to_vec(),
            is_marked,
        };
        Table {
            caption: "Sums & more".to_owned(),
            heads: ["name", "× one", "µs"].map(str::to_owned).to_vec(),
            rows: vec![row(["a long name", "1.00", "–"], false), row(["<b>", "10.00", "5"], true)],
        }
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table().text(),
            "name         × one  µs\n\
             a long name   1.00   –\n\
             <b>          10.00   5\n"
        );
    }

    #[test]
    fn markdown_has_a_rule_below_its_head() {
        assert_eq!(
            table().markdown(),
            "| name | × one | µs |\n|---|---:|---:|\n| a long name | 1.00 | – |\n\
             | \\<b> | 10.00 | 5 |\n"
        );
    }

    #[test]
    fn a_page_says_what_is_what_and_escapes_it() {
        let html = table().html();
        assert!(html.contains("<caption>Sums &amp; more</caption>"), "{html}");
        assert_eq!(html.matches("scope=\"col\"").count(), 3);
        assert!(
            html.contains("<tr class=\"marked\"><th scope=\"row\">&lt;b&gt;</th><td>10.00</td>")
        );
    }
}
