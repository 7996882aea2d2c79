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
    /// Outside a runtime no task can be started. A caller that has usable credentials does not need to know.
    pub(crate) fn wake_if_possible(self: &Arc<Self>) {
        let _ = self.wake_task(false);
    }

    /// Wakes the refresh task. Starts one if there is none, if its runtime has ended, or to `replace` one that does not react.
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

    /// Runs `task` where the refresh task runs. It is cancelled with the returned future.
    pub(crate) async fn run<T>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        run_on(&self.runtime()?, task).await
    }

    /// Where the refresh task runs. Callers wait by its timers.
    pub(crate) fn runtime(&self) -> Result<Handle, Error> {
        match &self.place {
            Place::Given(runtime) => Ok(runtime.clone()),
            #[cfg(test)]
            Place::Callers => {
                Handle::try_current().map_err(|error| Error::caused_by(Problem::NoRuntime(Runtime::None), error))
            }
            // In a process that may start no more threads, the caller's runtime is better than nothing.
            Place::Own(own) => own.handle().or_else(|error| {
                let failed = Problem::NoRuntime(Runtime::NoThread(error.to_string()));
                Handle::try_current().map_err(|_| Error::caused_by(failed, error))
            }),
        }
    }

    /// The last provider was dropped: ends the task, closes its connection and wipes the secrets.
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
