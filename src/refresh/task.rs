//! Tasks and timers on a runtime other than the caller's.

use std::future::Future;
use std::time::Duration;

use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::error::Error;
use crate::error::problem::{Problem, Runtime};
use crate::refresh::sync::{AbortHandle, Elapsed, Handle, timeout};

/// Runs `task` on `runtime` and waits for it. Dropping the returned future cancels it.
pub(crate) async fn run_on<T>(runtime: &Handle, task: impl Future<Output = T> + Send + 'static) -> Result<T, Error>
where
    T: Send + 'static,
{
    let task = runtime.spawn(with_subscriber(task));
    let _abort_on_drop = AbortOnDrop(task.abort_handle());
    task.await.map_err(|error| Error::caused_by(Problem::NoRuntime(Runtime::Panicked), error))
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for `future`, but at most for `limit`. Uses a timer of `runtime`, because the runtime of the caller may have
/// no timers.
pub(crate) fn within<F: Future>(
    runtime: &Handle,
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
    let _entered = runtime.enter();
    timeout(limit, future)
}

/// Runs `task` with the `tracing` subscriber of the current thread, if one is set.
pub(crate) fn with_subscriber<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
    let subscriber = tracing::dispatcher::get_default(Clone::clone);
    let is_set = !subscriber.is::<NoSubscriber>();
    async move {
        match is_set {
            true => task.with_subscriber(subscriber).await,
            // The program may set a global subscriber later, so none is fixed here.
            false => task.await,
        }
    }
}
