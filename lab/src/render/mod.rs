//! What the lab's results look like to people: tables as text, and pages that stand alone.
//!
//! It draws what it is given and knows neither benches nor logs. A page needs no script, no font
//! and nothing from elsewhere, so that it can be mailed and is still there in ten years.

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
