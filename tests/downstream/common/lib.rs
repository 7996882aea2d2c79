//! This crate is empty. Its purpose is explained in Cargo.toml.
