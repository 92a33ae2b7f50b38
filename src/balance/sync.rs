//! What threads share here and in `proxy/queue`: the standard library's atomics and locks, or those
//! of a model checker.
//!
//! `tests/models` compiles both with `cfg(loom)` and tries every order in which threads can see
//! each other's steps.

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, fence},
};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, fence},
};
