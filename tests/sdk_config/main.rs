//! `sdk_config()` compared with the `load_defaults` of aws-config: for every variable, field by field and on the wire.
//!
//! Both configurations read the environment of a process. For each environment, a child process is started: this same program,
//! which runs the ignored test `child`. The table in `src/docs/switching_from_aws_config.md` is generated from the output of the
//! children. `EKS_CREDENTIALS_BLESS=1 cargo test --test sdk_config` writes it. Read the changes before you commit them.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod cases;
mod child;
mod classified;
mod fields;
#[path = "../support/generated.rs"]
mod generated;
mod page;
mod setters;
#[path = "../support/mod.rs"]
mod support;
mod wire;
