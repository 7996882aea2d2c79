//! The part of the crate's module `error` that the schedule uses.

#[path = "../../src/error/verdict.rs"]
#[allow(dead_code, reason = "the example needs a part of it")]
pub(crate) mod verdict;
