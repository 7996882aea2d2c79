//! Models of the primitives under shuttle, each with no more guarantees than the documentation of the real one gives.

mod notify;
mod runtime;
mod time;
pub(crate) mod watch;

use std::fmt;
use std::sync::Arc;

use arc_swap::Guard;
use shuttle::sync::atomic::{AtomicU8, Ordering::SeqCst};
pub(crate) use shuttle::sync::{Mutex, MutexGuard};

pub(crate) use self::notify::Notify;
pub(crate) use self::runtime::{AbortHandle, Handle, OwnRuntime, Runtime};
pub(crate) use self::time::{Clock, Elapsed, Instant, Timekeeper, now, sleep, timeout};

/// Somebody else may run here. An access to an atomic, and not a yield, which would make the schedulers avoid this one.
#[derive(Debug, Default)]
struct Point(AtomicU8);

impl Point {
    fn pass(&self) {
        self.0.load(SeqCst);
    }
}

/// The real one between two points: it cannot be taken apart, and its own orderings are not what is tested here.
pub(crate) struct ArcSwap<T> {
    real: arc_swap::ArcSwap<T>,
    point: Point,
}

impl<T> ArcSwap<T> {
    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        self.point.pass();
        self.real.load()
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        self.point.pass();
        self.real.load_full()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        self.point.pass();
        self.real.store(value);
    }
}

impl<T: Default> Default for ArcSwap<T> {
    fn default() -> Self {
        Self { real: arc_swap::ArcSwap::default(), point: Point::default() }
    }
}

impl<T: fmt::Debug> fmt::Debug for ArcSwap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
