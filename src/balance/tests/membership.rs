//! Backends that come and go: when a slot is free again, and what finds nothing then.

#[expect(unused_imports)]
use super::*;
