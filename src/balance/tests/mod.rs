//! The room as a specification.
