//! Tables, plots and pages for the results of benches and reports.
//!
//! A page has no script and no font and loads nothing, so that a single file can be sent and kept.

mod bars;
mod ink;
mod number;
mod page;
mod parts;
mod plot;
mod table;

pub(super) use bars::{Bar, Line, Panel, bars};
pub(super) use ink::Ink;
pub(super) use number::thousands;
pub(super) use page::{Page, escape};
pub(super) use parts::{Part, parts};
pub(super) use plot::{Curve, Scale, curves};
pub(super) use table::{Row, Table};
