//! The atomics of this module: the standard library's, or those of a model checker.
//!
//! `tests/models` compiles this module with `cfg(loom)` and tries every order in which threads can
//! see each other's steps.

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
