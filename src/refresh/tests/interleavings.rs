//! Runs the real `Shared`, `Cache` and refresh task in the model checker shuttle, in many orders of events. In each
//! order, no caller hangs, there is at most one attempt at a time, and a task that was replaced or closed writes nothing.
//!
//! `RUSTFLAGS='--cfg shuttle' cargo test --lib --target-dir target/shuttle interleavings`. Each scenario runs with two
//! schedulers: the random one covers many different orders, and PCT finds each bug that needs up to three reversals
//! with a known probability. The schedules are the same in each run. `SHUTTLE_RANDOM_SEED=n` selects other ones, and
//! `EKS_CREDENTIALS_INTERLEAVINGS=n` sets their number. Small scenarios are searched exhaustively. A failure prints its
//! schedule, for [`shuttle::replay`].
//!
//! In patient mode (see `model::time`), a lost wake-up is visible, because time passes until a timer replaces it. Tests in
//! which a caller must be served immediately therefore check that no time has passed.

mod cache;
mod callers;
mod harness;
mod tasks;
