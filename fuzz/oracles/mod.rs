//! What must hold for any input: one function for each fuzz target, which panics if the outcome breaks a rule.
//!
//! This module is part of the library while it is fuzzed or tested, because it calls private functions. `cargo test` runs
//! the corpus and every finding through the same functions. Where possible, an oracle computes the expected outcome in
//! another way than the code under test does.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "an oracle reports a defect by a panic, and none of this is published"
)]

mod answers;
mod dates;
mod environment;
#[cfg(test)]
mod replay;
mod tokens;
mod uris;

pub use answers::{agent, sts};
pub use dates::dates;
pub use environment::environment;
pub use tokens::claims;
pub use uris::uris;

use crate::error::Error;

/// Documents up to this size are also read by a generic parser, for comparison. That parser needs sixteen times as much
/// memory as the document is long, and the limit on allocations is meant for the code under test.
const SMALL: usize = 8 * 1024;

/// An error is one line of readable text, however long the input was. It may quote `quoted` characters of the input.
fn assert_explains(error: &Error, quoted: usize) -> String {
    let text = error.to_string();
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks), "more than one line: {text:?}");
    assert!(text.chars().count() <= 1500 + quoted, "{} characters: {text}", text.chars().count());
    assert!(text.chars().filter(|c| c.is_alphabetic()).count() > 10, "explains nothing: {text}");
    text
}

/// Replaces each `{name}` of `values` in the input, so that the corpus holds nothing that looks like a secret. It replaces
/// sixteen at most, because the result must not be much larger than the input.
fn fill(input: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(input.len() + 4096);
    let (mut rest, mut left) = (input, 16);
    while let Some(brace) = rest.iter().position(|&b| b == b'{').filter(|_| left > 0) {
        let (before, from) = rest.split_at(brace);
        let found = values.iter().find(|(name, _)| from.starts_with(name.as_bytes()));
        let (name, value) = found.copied().unwrap_or(("{", "{"));
        filled.extend_from_slice(before);
        filled.extend_from_slice(value.as_bytes());
        rest = &from[name.len()..];
        left -= usize::from(found.is_some());
    }
    filled.extend_from_slice(rest);
    filled
}
