//! Configurations as texts.

use super::*;
