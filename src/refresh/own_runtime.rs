//! A small tokio runtime on a thread of its own, where the refresh task runs.
//!
//! On the caller's runtime the task would depend on what the program does with it: it would stop when nobody polls that
//! runtime, when a long computation blocks it, when it was built without time or I/O, and when it ends. Token files and
//! host names would wait for a free thread of the program's blocking pool. None of this may delay a refresh.

use std::io;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// One reads the token, one resolves a name, one sets TLS up, and one is left if a volume hangs.
const BLOCKING_THREADS: usize = 4;

/// Starts at the first use, and ends with this value.
#[derive(Debug, Default)]
pub(crate) struct OwnRuntime(Mutex<Option<Started>>);

#[derive(Debug)]
struct Started {
    handle: Handle,
    /// A child process that was forked has a copy of this value, but not the thread.
    process: u32,
    /// To drop it ends the thread.
    _end: oneshot::Sender<()>,
}

impl OwnRuntime {
    /// The runtime, started if it does not run in this process.
    ///
    /// # Errors
    ///
    /// If the operating system gives no more threads or file descriptors.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        let mut started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Started { handle, process, .. }) = started.as_ref()
            && *process == process::id()
        {
            return Ok(handle.clone());
        }
        let new = start()?;
        let handle = new.handle.clone();
        *started = Some(new);
        Ok(handle)
    }

    /// Ends the thread and everything that runs on it, without waiting for it.
    pub(crate) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn start() -> io::Result<Started> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name("eks-credentials")
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    thread::Builder::new().name("eks-credentials".to_owned()).spawn(move || {
        // Nothing is ever sent: the end of the sender is the sign.
        let _ = runtime.block_on(ended);
        // A read from a volume that hangs may never end. It must not keep this thread.
        runtime.shutdown_background();
    })?;
    Ok(Started { handle, process: process::id(), _end: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_tasks_until_it_ends_and_starts_again() {
        let own = OwnRuntime::default();
        for _ in 0..2 {
            let (reached, end) = (oneshot::channel::<()>(), oneshot::channel::<()>());
            let (send_end, mut received_end) = (end.0, end.1);
            own.handle().unwrap().spawn(async move {
                let _held_until_the_end = send_end;
                let _ = reached.0.send(());
                std::future::pending::<()>().await;
            });
            reached.1.blocking_recv().unwrap();
            assert!(received_end.try_recv().is_err());
            own.end();
            // The task is dropped with the runtime.
            received_end.blocking_recv().unwrap_err();
        }
    }
}
