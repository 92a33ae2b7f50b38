//! The live dashboard.
mod choice;
mod estimate;
mod histogram;
mod model;
mod timeline;
#[cfg(test)]
mod tests;
