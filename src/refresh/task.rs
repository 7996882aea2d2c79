//! Tasks and timers on another runtime than the caller's.

use std::future::Future;
use std::time::Duration;

use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::error::Error;
use crate::error::problem::{Problem, Runtime};
use crate::refresh::sync::{AbortHandle, Elapsed, Handle, timeout};

/// Runs `task` on `runtime` and waits for it. It is cancelled with the returned future.
pub(crate) async fn run_on<T>(runtime: &Handle, task: impl Future<Output = T> + Send + 'static) -> Result<T, Error>
where
    T: Send + 'static,
{
    let task = runtime.spawn(with_subscriber(task));
    let _cancelled_with_this = AbortOnDrop(task.abort_handle());
    task.await.map_err(|error| Error::caused_by(Problem::NoRuntime(Runtime::Panicked), error))
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `future`, for `limit` at most. The timer is one of `runtime`: the caller's own runtime may have none.
pub(crate) fn within<F: Future>(
    runtime: &Handle,
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
    let _entered = runtime.enter();
    timeout(limit, future)
}

/// With the subscriber to log events that this thread has, if it has one.
pub(crate) fn with_subscriber<T>(task: impl Future<Output = T>) -> impl Future<Output = T> {
    let subscriber = tracing::dispatcher::get_default(Clone::clone);
    let is_set = !subscriber.is::<NoSubscriber>();
    async move {
        match is_set {
            true => task.with_subscriber(subscriber).await,
            // The program may set one later.
            false => task.await,
        }
    }
}
