//! What readers, callers and the driver are put together from: std, tokio and arc-swap as they are.
//!
//! Under `RUSTFLAGS='--cfg shuttle'` the unit tests get models of the same names instead, in which every step that
//! another thread could notice is a point where the model checker may let another one run: `src/refresh/tests/interleavings.rs`
//! runs the real `Shared`, `Cache` and driver on them. Nobody else sees them, and nothing that is shipped knows of them.
//!
//! Why hand-made models and not `shuttle-tokio`: time is what this code is about, and there a sleep ends at once, a
//! timeout never fires by itself, and `Instant` is the real clock; its runtimes cannot end; its `Notify` draws random
//! numbers, so that no search can be exhaustive. What would be left of it, `Notify` and `watch`, is a page. Why not
//! `loom`: it explores everything or nothing, and three tasks with timers are far beyond everything.

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
