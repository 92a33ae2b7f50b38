//! Tables, plots and pages for the results of benches and reports.
//!
//! A page has no script and no font and loads nothing, so that a single file can be sent and kept.

mod areas;
mod axis;
mod bars;
mod canvas;
mod ink;
mod number;
mod page;
mod parts;
mod plot;
mod table;

pub(super) use areas::{Area, areas};
pub(super) use axis::LogAxis;
pub(super) use bars::{Bar, Line, Panel, bars};
pub(super) use canvas::{Canvas, Font, Side};
pub(super) use ink::{HEATS, Ink};
pub(super) use number::{figure, thousands};
pub(super) use page::{Page, escape};
pub(super) use parts::{Part, parts};
pub(super) use plot::{Curve, Scale, curves};
pub(super) use table::{Row, Table, plain_markdown};
