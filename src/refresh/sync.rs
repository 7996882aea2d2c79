//! The synchronization primitives that the cache, the callers and the refresh task use. They come from std, tokio and
//! arc-swap.
//!
//! With `RUSTFLAGS='--cfg shuttle'`, the unit tests use models with the same names. Each step of a model that another
//! thread could observe is a point where the model checker can switch to another thread. The tests in
//! `src/refresh/tests/interleavings.rs` run the real `Shared`, `Cache` and `Driver` on these models. The models are not
//! part of any other build.
//!
//! The models are written by hand for these reasons:
//!
//! - `shuttle-tokio` does not model time: a sleep ends immediately, a timeout never fires by itself, and `Instant` is the
//!   real clock. Its runtimes cannot end. Its `Notify` uses random numbers, which rules out an exhaustive search.
//! - `loom` always searches exhaustively, and the state space of three tasks with timers is too large for that.

#[cfg(not(all(test, shuttle)))]
pub(crate) use self::real::*;
#[cfg(all(test, shuttle))]
pub(crate) use super::tests::model::{
    AbortHandle, ArcSwap, Elapsed, Handle, Instant, Mutex, MutexGuard, Notify, OwnRuntime, sleep, timeout, watch,
};

#[cfg(not(all(test, shuttle)))]
mod real {
    pub(crate) use std::sync::{Mutex, MutexGuard};

    pub(crate) use arc_swap::ArcSwap;
    pub(crate) use tokio::runtime::Handle;
    pub(crate) use tokio::sync::{Notify, watch};
    pub(crate) use tokio::task::AbortHandle;
    pub(crate) use tokio::time::{Instant, error::Elapsed, sleep, timeout};

    pub(crate) use crate::refresh::own_runtime::OwnRuntime;
}
