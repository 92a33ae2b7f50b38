//! More than one machine: two proxies behind an address that moves, with the real keepalived, and
//! the pods of Kubernetes, with the files that are shipped for both.
//!
//! The machines are network namespaces of the test's own. Where there is no keepalived, nft or
//! dnsmasq (`./scripts/setup --machines` installs them), or a process may not have a network of its
//! own, these tests say so and test nothing.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod clients;
mod machine;
mod manifests;
mod pair;
mod rolling;
mod takeover;
mod times;

use std::path::{Path, PathBuf};

/// A file in `packaging/`.
fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(file)
}
