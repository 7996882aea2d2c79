//! Starting, waking, replacing and ending the refresh task.

use std::future::Future;
use std::sync::Arc;

use crate::error::Error;
use crate::error::problem::{Problem, Runtime};
use crate::refresh::cache::Entry;
use crate::refresh::driver;
use crate::refresh::shared::{Place, Shared};
use crate::refresh::sync::Handle;
use crate::refresh::task::{run_on, with_subscriber};

impl Shared {
    /// Wakes the refresh task. Ignores the error that no task can be started outside a runtime, because the caller has
    /// usable credentials.
    pub(crate) fn wake_if_possible(self: &Arc<Self>) {
        let _ = self.wake_task(false);
    }

    /// Wakes the refresh task. Starts a task if there is none, if its runtime has ended, or, with `replace`, if it does
    /// not react.
    pub(super) fn wake_task(self: &Arc<Self>, replace: bool) -> Result<(), Error> {
        let mut task = self.task();
        let gone = task.running.as_ref().is_none_or(|(_, running)| running.is_finished());
        if gone || replace {
            let runtime = self.runtime()?;
            let epoch = self.cache.next_epoch();
            task.refresh_began = None;
            let started = runtime.spawn(with_subscriber(driver::drive(Arc::clone(self), epoch))).abort_handle();
            if let Some((_, old)) = task.running.replace((epoch, started)) {
                old.abort();
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Runs `task` on the runtime of the refresh task. Dropping the returned future cancels it.
    pub(crate) async fn run<T>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        run_on(&self.runtime()?, task).await
    }

    /// The runtime of the refresh task. Waiting callers use its timers.
    pub(crate) fn runtime(&self) -> Result<Handle, Error> {
        match &self.place {
            Place::Given(runtime) => Ok(runtime.clone()),
            #[cfg(test)]
            Place::Callers => {
                Handle::try_current().map_err(|error| Error::caused_by(Problem::NoRuntime(Runtime::None), error))
            }
            // If the process cannot start another thread, the task runs on the runtime of the caller.
            Place::Own(own) => own.handle().or_else(|error| {
                let failed = Problem::NoRuntime(Runtime::NoThread(error.to_string()));
                Handle::try_current().map_err(|_| Error::caused_by(failed, error))
            }),
        }
    }

    /// Ends the task, closes its connection and wipes the secrets. Called when the last provider is dropped.
    pub(crate) fn close(&self) {
        self.cache.next_epoch();
        let running = self.task().running.take();
        if let Some((_, running)) = running {
            running.abort();
        }
        self.cache.update(|entry| *entry = Entry::default());
        if let Place::Own(own) = &self.place {
            own.end();
        }
    }
}
