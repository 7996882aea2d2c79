//! The crate's own schedule, compiled into the example because it is not public.
#![allow(dead_code, reason = "the example needs a part of it")]

#[path = "../../src/refresh/retry.rs"]
pub(crate) mod retry;
#[path = "../../src/refresh/schedule.rs"]
pub(crate) mod schedule;
#[path = "../../src/refresh/state.rs"]
pub(crate) mod state;
#[path = "../../src/refresh/validity.rs"]
pub(crate) mod validity;
