//! A model of tokio's runtimes with the functions that are used. A task belongs to a runtime, can find it, and ends
//! with it.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

pub(crate) use shuttle::future::{AbortHandle, JoinHandle};

use super::SwitchPoint;

shuttle::thread_local! {
    static CURRENT: RefCell<Option<Handle>> = RefCell::new(None);
}

#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Mutex<Tasks>>);

#[derive(Debug, Default)]
struct Tasks {
    ended: bool,
    running: Vec<AbortHandle>,
}

#[derive(Debug)]
pub(crate) struct OutsideRuntime;

impl fmt::Display for OutsideRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outside a runtime")
    }
}

impl std::error::Error for OutsideRuntime {}

impl Handle {
    pub(crate) fn try_current() -> Result<Self, OutsideRuntime> {
        CURRENT.with(|current| current.borrow().clone()).ok_or(OutsideRuntime)
    }

    /// Has no effect, because the timers of the model do not belong to a runtime.
    pub(crate) fn enter(&self) {}

    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let runtime = self.clone();
        let task = shuttle::future::spawn(async move {
            CURRENT.with(|current| *current.borrow_mut() = Some(runtime));
            let _end = End::default();
            task.await
        });
        let ended = {
            let mut tasks = self.0.lock().unwrap();
            tasks.running.push(task.abort_handle());
            tasks.ended
        };
        if ended {
            task.abort();
        }
        task
    }
}

/// Lets other tasks run after the future of a task was dropped and before `is_finished` returns `true`.
#[derive(Default)]
struct End(SwitchPoint);

impl Drop for End {
    fn drop(&mut self) {
        self.0.pass();
    }
}

/// A runtime that a test creates and can drop at any moment.
#[derive(Debug)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    pub(crate) fn new() -> Self {
        Self(Handle(Arc::default()))
    }

    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.spawn(task)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let running = {
            let mut tasks = self.0.0.lock().unwrap();
            tasks.ended = true;
            std::mem::take(&mut tasks.running)
        };
        running.iter().for_each(AbortHandle::abort);
    }
}

/// Always fails. The tests need runtimes that end or are not polled, which this runtime cannot simulate.
#[derive(Debug, Default)]
pub(crate) struct OwnRuntime;

impl OwnRuntime {
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn end(&self) {}
}
