//! The projected service account token: its file is read for every attempt, and its content is checked and never shown.
//!
//! kubelet rotates the token by renaming a symbolic link, so the path is opened again for each read. The claims of the token
//! are decoded without verification. They are only used in error messages, and for the role session name.
//!
//! | file | duty |
//! |---|---|
//! | `token.rs` | the token, and the checks of its content |
//! | `explain.rs` | explains why a file could not be read |
//! | `running.rs` | limits the threads that a hanging volume blocks |

mod explain;
mod running;
mod token;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use self::token::MAX_SIZE;
pub(crate) use self::token::Token;
use crate::error::Error;
use crate::error::problem::token::{BadToken, What};

/// The capacity of the read buffer, with room for more than [`MAX_SIZE`] and one byte. The buffer must not be reallocated,
/// because that would leave a copy of the token in memory.
const BUFFER_SIZE: usize = 65 * 1024;
/// kubelet's volume is in memory, so only a volume that hangs takes longer. The error then names the volume and not STS.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// On Windows the file is missing for a moment while kubelet replaces it.
const MISSING_RETRIES: u32 = 4;
const MISSING_PAUSE: Duration = Duration::from_millis(50);

/// Where a token comes from: a file that is read for every attempt, or a fixed value.
#[derive(Clone, Debug)]
pub(crate) enum TokenSource {
    File(PathBuf),
    Fixed(Token),
}

impl TokenSource {
    pub(crate) async fn token(&self) -> Result<Token, Error> {
        match self {
            Self::File(path) => read(path).await,
            Self::Fixed(token) => Ok(token.clone()),
        }
    }
}

/// Reads the token on a blocking thread, because the volume may be slow or hang.
async fn read(path: &Path) -> Result<Token, Error> {
    read_by(path, read_blocking).await
}

async fn read_by(path: &Path, reader: fn(&Path) -> io::Result<Zeroizing<Vec<u8>>>) -> Result<Token, Error> {
    let bad = |what| BadToken { origin: path.display().to_string(), what };
    let mut missing = 0_u32;
    loop {
        if running::hangs(path) {
            return Err(bad(What::Hangs).into());
        }
        let owned = path.to_owned();
        let (begin, began) = oneshot::channel();
        let read = tokio::task::spawn_blocking(move || {
            let running = Arc::new(());
            running::register(&owned, &running);
            let _ = begin.send(());
            reader(&owned).map_err(|e| (e.kind(), explain::explain(&owned, e)))
        });
        // The read timeout begins when the thread starts. Waiting for a free thread is limited by the attempt timeout.
        let _ = began.await;
        let Ok(outcome) = tokio::time::timeout(READ_TIMEOUT, read).await else {
            return Err(bad(What::Hangs).into());
        };
        match outcome {
            Ok(Err((io::ErrorKind::NotFound, _))) if missing < MISSING_RETRIES => {
                missing = missing.saturating_add(1);
                tokio::time::sleep(MISSING_PAUSE).await;
            }
            Ok(Err((_, explained))) => return Err(explained),
            Ok(Ok(bytes)) => return Ok(Token::parse(bytes, &path.display().to_string())?),
            Err(_) => return Err(bad(What::ThreadEnded).into()),
        }
    }
}

fn read_blocking(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Checked before the file is opened, because opening a FIFO blocks until a process opens it for writing.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(BUFFER_SIZE));
    File::open(path)?.take(MAX_SIZE.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};

    use super::running::READS;
    use super::*;
    use crate::error::ErrorKind;

    /// For example, a network volume whose server is not reachable.
    #[tokio::test(start_paused = true)]
    async fn token_file_on_a_hanging_volume_blocks_two_threads_at_most() {
        static READERS: AtomicUsize = AtomicUsize::new(0);
        static RETURNED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        fn hanging(_: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
            READERS.fetch_add(1, Ordering::Relaxed);
            drop(RETURNED.1.wait_while(RETURNED.0.lock().unwrap(), |returned| !*returned).unwrap());
            Ok(Zeroizing::new(b"header.payload.signature".to_vec()))
        }
        let path = Path::new("/hung/token");
        // tokio does not advance paused time while a blocking thread runs.
        for n in 1..=2 {
            let mut read = tokio_test::task::spawn(read_by(path, hanging));
            while READERS.load(Ordering::Relaxed) < n {
                assert!(read.poll().is_pending());
                tokio::task::yield_now().await;
            }
            assert!(read.poll().is_pending());
            tokio::time::advance(READ_TIMEOUT).await;
            let std::task::Poll::Ready(Err(error)) = read.poll() else { panic!("no limit of time") };
            assert!(error.to_string().contains("/hung/token"), "{error}");
        }
        for _ in 0..10 {
            let error = read_by(path, hanging).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        }
        assert_eq!(READERS.load(Ordering::Relaxed), 2);
        *RETURNED.0.lock().unwrap() = true;
        RETURNED.1.notify_all();
        // The results of the old reads are discarded, because the token may have been rotated since.
        while running::hangs(path) {
            tokio::task::yield_now().await;
        }
        read_by(path, hanging).await.unwrap();
        assert_eq!(READERS.load(Ordering::Relaxed), 3);
        let is_running = || READS.lock().unwrap()[path].iter().any(|(running, _)| running.strong_count() > 0);
        while is_running() {
            tokio::task::yield_now().await;
        }
        read_by(path, hanging).await.unwrap();
        assert_eq!(READS.lock().unwrap()[path].len(), 1, "reads that have returned are removed");
    }

    #[test]
    fn token_file_read_never_reallocates_its_buffer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [0, 1100, 64 * 1024, 128 * 1024] {
            fs::write(file.path(), vec![b'x'; length]).unwrap();
            let read = read_blocking(file.path()).unwrap();
            assert_eq!((read.len(), read.capacity()), (length.min(64 * 1024 + 1), BUFFER_SIZE));
        }
    }
}
