//! tokio's runtimes, as far as they are used: tasks belong to one, find it, and end with it.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

pub(crate) use shuttle::future::{AbortHandle, JoinHandle};

use super::Point;

shuttle::thread_local! {
    static CURRENT: RefCell<Option<Handle>> = RefCell::new(None);
}

#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Mutex<Tasks>>);

#[derive(Debug, Default)]
struct Tasks {
    ended: bool,
    living: Vec<AbortHandle>,
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

    /// The model's timers belong to no runtime.
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
            tasks.living.push(task.abort_handle());
            tasks.ended
        };
        if ended {
            task.abort();
        }
        task
    }
}

/// Between the drop of what a task was about and the moment in which `is_finished` says so, others may run.
#[derive(Default)]
struct End(Point);

impl Drop for End {
    fn drop(&mut self) {
        self.0.pass();
    }
}

/// What a test makes, and drops in the middle of everything.
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
        let living = {
            let mut tasks = self.0.0.lock().unwrap();
            tasks.ended = true;
            std::mem::take(&mut tasks.living)
        };
        living.iter().for_each(AbortHandle::abort);
    }
}

/// The scenarios have runtimes that end and runtimes that nobody polls, which a thread of its own does not.
#[derive(Debug, Default)]
pub(crate) struct OwnRuntime;

impl OwnRuntime {
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn end(&self) {}
}
