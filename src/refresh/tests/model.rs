//! Models of the primitives for the model checker shuttle. A model guarantees no more than the documentation of the
//! original.

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
pub(crate) use self::time::{Clock, Elapsed, Instant, TimeScheduler, now, sleep, timeout};

/// A point where the scheduler can switch to another task. It accesses an atomic and does not yield, because after a
/// yield the schedulers avoid the task that yielded.
#[derive(Debug, Default)]
struct SwitchPoint(AtomicU8);

impl SwitchPoint {
    fn pass(&self) {
        self.0.load(SeqCst);
    }
}

/// The real `ArcSwap` with a switch point before each access. Its own implementation is not checked.
pub(crate) struct ArcSwap<T> {
    real: arc_swap::ArcSwap<T>,
    point: SwitchPoint,
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
        Self { real: arc_swap::ArcSwap::default(), point: SwitchPoint::default() }
    }
}

impl<T: fmt::Debug> fmt::Debug for ArcSwap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}
