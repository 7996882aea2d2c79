//! A small tokio runtime on its own thread, where the refresh task runs.
//!
//! On the runtime of a caller, a refresh would stop when that runtime is not polled, is blocked by a long computation,
//! was built without time or I/O, or ends. Reading the token file and resolving host names would wait for a free thread
//! of the program's blocking pool.

use std::io;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// One thread to read the token, one to resolve a name, one to set up TLS, and one more in case a volume hangs.
const BLOCKING_THREADS: usize = 4;

/// Starts the thread at the first use. The thread ends when this value is dropped.
#[derive(Debug, Default)]
pub(crate) struct OwnRuntime(Mutex<Option<Started>>);

#[derive(Debug)]
struct Started {
    handle: Handle,
    /// The process that started the thread. A forked child has a copy of this value, but not the thread.
    process: u32,
    /// Dropping this sender ends the thread.
    _end: oneshot::Sender<()>,
}

impl OwnRuntime {
    /// Returns the runtime. Starts it if it is not running in this process.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses to create a thread or a file descriptor.
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
        // Nothing is sent on this channel. The wait ends when the sender is dropped.
        let _ = runtime.block_on(ended);
        // Does not wait for blocking threads, because a read from a volume that hangs may never end.
        runtime.shutdown_background();
    })?;
    Ok(Started { handle, process: process::id(), _end: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_runtime_runs_until_ended_and_starts_again() {
        let own = OwnRuntime::default();
        for _ in 0..2 {
            let (started, is_started) = oneshot::channel::<()>();
            let (alive, mut dropped) = oneshot::channel::<()>();
            own.handle().unwrap().spawn(async move {
                let _dropped_with_the_task = alive;
                let _ = started.send(());
                std::future::pending::<()>().await;
            });
            is_started.blocking_recv().unwrap();
            assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            own.end();
            // The task is dropped with the runtime.
            dropped.blocking_recv().unwrap_err();
        }
    }
}
