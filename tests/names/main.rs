//! Names that move, with a real name server: dnsmasq, in a network of the test's own. Where there
//! is no dnsmasq (`./scripts/setup` installs it), or a process may not have a network of its own,
//! these tests say so and test nothing.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod answers;
mod files;
mod moving;
mod rolling;
mod scene;
