//! The log: one CSV row per request, written beside the request path.
//!
//! Workers put [`Record`]s into a [`Feed`] each; one thread makes rows of them and writes them in
//! batches. A feed never blocks and makes no system call: when the thread or the disk can't keep
//! up, rows are dropped and counted, so that rows written plus rows lost are always the requests.
//! The CSV is a public contract; [`HEADER`] and [`Row`] are its two sides.
//!
//! It refuses to know what a request is beyond its record, and who reads the file.

mod error;
mod feed;
mod file;
mod frame;
mod row;
mod stamp;
mod writer;

pub use error::JournalError;
pub use feed::Feed;
pub use frame::{LONGEST_METHOD, LONGEST_PATH, Record};
pub use row::{HEADER, Row, RowError, read_rows};
pub use writer::{Journal, Options, Reopener, Totals};
