//! Why a backend was chosen.

#[expect(unused_imports)]
use super::*;
