//! What must hold for any input at all: one function a fuzz target, which panics if its promise is broken.
//!
//! Compiled for the targets in `fuzz/`, and for `cargo test`, which replays the corpus and every finding through the
//! same functions. They look at the outcome in another way than the code under test does, where there is one.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a promise that is broken must be heard, and nothing of this is shipped"
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

/// Up to here a document is also read by a generic parser, which takes sixteen times its size in memory: what the targets
/// may allocate is for the code under test.
const SMALL: usize = 8 * 1024;

/// An error is one line for a person, however long what it is about. `quoted` is how much of that it may show.
fn assert_explains(error: &Error, quoted: usize) -> String {
    let text = error.to_string();
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks), "more than one line: {text:?}");
    assert!(text.chars().count() <= 1500 + quoted, "{} characters: {text}", text.chars().count());
    assert!(text.chars().filter(|c| c.is_alphabetic()).count() > 10, "explains nothing: {text}");
    text
}

/// The input with each `{name}` of `values` in place, so that the corpus holds nothing that looks like a secret. Sixteen
/// at most: what came of it must not be much larger than the input.
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
