//! The projected service account token: read anew for every attempt, checked, never shown.
//!
//! kubelet rotates it by renaming a symlink, so the path is opened afresh each time and no descriptor is kept. The
//! claims are decoded without verification, and only to explain: to say in an error who the pod is, and to name the
//! role session after it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::HeaderValue;
use tokio::sync::oneshot;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::claims::Claims;
use crate::error::Error;
use crate::error::problem::token::{BadToken, What};

/// A projected token has about 1.1 KB and STS takes 20,000 characters; anything larger is some other file.
const MAX_SIZE: u64 = 64 * 1024;
/// Room for one byte too many and some more: a buffer that grows leaves a copy of the token behind.
const ROOM: usize = 65 * 1024;
/// kubelet's volume is in memory. Only a volume that hangs takes longer, and then STS is not to be blamed for it.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// On Windows there is a moment without the file while kubelet swaps it.
const MISSING_RETRIES: u32 = 4;
const MISSING_PAUSE: Duration = Duration::from_millis(50);

/// A bearer token that is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Zeroizing<String>);

/// A read for as long as it has not returned, and when it began.
type Read = (Weak<()>, Instant);

/// The reads of each file that have not returned.
static READS: Mutex<BTreeMap<PathBuf, Vec<Read>>> = Mutex::new(BTreeMap::new());
/// A volume that hangs must not take one more thread with every attempt. A second read finds out whether the path leads
/// to
/// something else by now.
const MAX_HANGING: usize = 2;
/// A read that has not returned after this long hangs. Another provider may read the same file at the same time.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// Whether so many earlier reads of the file have not returned yet that another one would be of no use.
fn hangs(path: &Path) -> bool {
    let reads = READS.lock().unwrap_or_else(PoisonError::into_inner);
    let hanging = |(running, began): &&Read| running.strong_count() > 0 && began.elapsed() >= HANGS_AFTER;
    reads.get(path).is_some_and(|reads| reads.iter().filter(hanging).count() >= MAX_HANGING)
}

/// Notes a read that lasts as long as `running`.
fn note_read(path: &Path, running: &Arc<()>) {
    let mut reads = READS.lock().unwrap_or_else(PoisonError::into_inner);
    reads.values_mut().for_each(|reads| reads.retain(|(running, _)| running.strong_count() > 0));
    reads.retain(|_, reads| !reads.is_empty());
    reads.entry(path.to_owned()).or_default().push((Arc::downgrade(running), Instant::now()));
}

/// Reads the token on a blocking thread: the file may be on a slow or hung volume.
pub(crate) async fn read(path: &Path) -> Result<Token, Error> {
    read_by(path, read_blocking).await
}

async fn read_by(path: &Path, reader: fn(&Path) -> io::Result<Zeroizing<Vec<u8>>>) -> Result<Token, Error> {
    let bad = |what| BadToken { origin: path.display().to_string(), what };
    let mut missing = 0_u32;
    loop {
        if hangs(path) {
            return Err(bad(What::Hangs).into());
        }
        let owned = path.to_owned();
        let (begin, began) = oneshot::channel();
        let read = tokio::task::spawn_blocking(move || {
            let running = Arc::new(());
            note_read(&owned, &running);
            let _ = begin.send(());
            reader(&owned).map_err(|e| (e.kind(), explain(&owned, e)))
        });
        // To wait for a free thread is not the volume's fault. The limit of the attempt ends it.
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
    // Checked before opening: opening a FIFO would block until somebody writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    File::open(path)?.take(MAX_SIZE.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Looks at the file once more, so only on a blocking thread.
fn explain(file: &Path, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::NotFound => What::Missing,
        io::ErrorKind::PermissionDenied => What::Denied { ownership: ownership(file) },
        io::ErrorKind::InvalidInput => What::NotAFile,
        io::ErrorKind::NotADirectory => What::ThroughAFile,
        _ if is_loop(&error) => What::Loop,
        // Nothing that the pod's author could correct, and it may pass.
        _ => What::Io,
    };
    Error::caused_by(BadToken { origin: file.display().to_string(), what }, error)
}

/// `ELOOP`, until `io::ErrorKind::FilesystemLoop` is stable. Linux is what has it in a pod.
fn is_loop(error: &io::Error) -> bool {
    cfg!(target_os = "linux") && error.raw_os_error() == Some(40)
}

/// Who may not read the file, and who may.
fn ownership(path: &Path) -> String {
    #[cfg(not(unix))]
    let text = format!("{} denies it access", path.display());
    #[cfg(unix)]
    let text = {
        use std::os::unix::fs::MetadataExt as _;
        // The owner of /proc/self is the effective user; asking the kernel itself would take `unsafe` or a crate.
        let me = fs::metadata("/proc/self").map_or("unknown".to_owned(), |m| m.uid().to_string());
        match fs::metadata(path) {
            Ok(m) => format!("uid {me}; the file has mode {:04o}, owner {}:{}", m.mode() & 0o7777, m.uid(), m.gid()),
            Err(_) => format!("uid {me}; a folder on the way may not be entered"),
        }
    };
    text
}

impl Token {
    /// Trims what editors and shells add, and refuses what could not be a token. `origin` names the file or variable.
    pub(crate) fn parse(bytes: Zeroizing<Vec<u8>>, origin: &str) -> Result<Self, BadToken> {
        let bad = |what| Err(BadToken { origin: origin.to_owned(), what });
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_SIZE {
            return bad(What::TooLarge);
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { return bad(What::NotText) };
        let text = text.trim();
        if text.is_empty() {
            return bad(What::Empty);
        }
        if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return bad(What::BadCharacter);
        }
        if !is_one_token(text) {
            return bad(What::SeveralWords);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// For a request body, and for taking the token out of what a server said. It goes nowhere else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// For a header, marked sensitive so that no HTTP crate logs it.
    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        let bad = |_| BadToken { origin: "the header Authorization".to_owned(), what: What::BadCharacter };
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(self.0.clone())).map_err(bad)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Who the token says it is, if it can be read as a JWT.
    pub(crate) fn claims(&self) -> Option<Claims> {
        let payload = self.0.split('.').nth(1)?;
        let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
        Claims::parse(&json)
    }
}

/// One word, or two if the first one is an authentication scheme, as in `Basic …`: other servers than the EKS agent get
/// their
/// header from the file or variable as it is.
fn is_one_token(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    match words.count() {
        0 => true,
        1 => first.len() <= 20 && first.bytes().all(|b| b.is_ascii_alphabetic()),
        _ => false,
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(** redacted **)")
    }
}

/// A file that is read for every attempt, or a fixed value.
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

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::claims::MAX_SHOWN;
    use crate::error::ErrorKind;

    #[test]
    fn a_token_is_one_line_of_ascii_and_64_kib_at_most() {
        let parse = |bytes: &[u8]| Token::parse(Zeroizing::new(bytes.to_vec()), "a test");
        assert!(parse(&[b'x'; 64 * 1024]).is_ok());
        for refused in [
            &[b'x'; 64 * 1024 + 1][..],
            "h\u{e9}ader".as_bytes(),
            b"header\x01payload",
            b"header\npayload",
            b" \n",
            b"h.p.s 12:00 started",
            b"a b c",
            b"h.p.s x",
        ] {
            assert_eq!(Error::from(parse(refused).unwrap_err()).kind(), ErrorKind::TokenFile);
        }
    }

    #[test]
    fn claims_are_shown_whole_but_for_what_no_token_has() {
        let shown = |payload: &str| {
            let jwt = format!("header.{}.signature", URL_SAFE_NO_PAD.encode(payload));
            let token = Token::parse(Zeroizing::new(jwt.into_bytes()), "a test").unwrap();
            token.claims().map(|claims| claims.to_string())
        };
        let long = "x".repeat(MAX_SHOWN);
        for (payload, expected) in [
            (r#"{"aud":"one"}"#.to_owned(), "iss=none sub=none aud=one exp=none".to_owned()),
            (
                r#"{"aud":["one","two","three"],"exp":0}"#.to_owned(),
                "iss=none sub=none aud=one,two,three exp=1970-01-01T00:00:00Z".to_owned(),
            ),
            (r#"{"aud":[],"iss":"i","sub":"s"}"#.to_owned(), "iss=i sub=s aud= exp=none".to_owned()),
            (
                format!(r#"{{"aud":["{long}","two"],"iss":"{long}y"}}"#),
                format!("iss={long} sub=none aud={long} exp=none"),
            ),
        ] {
            assert_eq!(shown(&payload), Some(expected));
        }
        assert_eq!(shown(r#"{"aud":7}"#), None);
    }

    /// Also what root, who may read everything, does not come by. The numbers are Linux's `ELOOP` and `EIO`.
    #[cfg(target_os = "linux")]
    #[test]
    fn each_error_of_the_file_system_says_what_to_do_and_whether_it_may_pass() {
        use ErrorKind::{TokenFile, Unavailable};
        let file = tempfile::NamedTempFile::new().unwrap();
        for (error, kind, said) in [
            (io::ErrorKind::NotFound.into(), TokenFile, "check that the pod mounts"),
            (io::ErrorKind::PermissionDenied.into(), TokenFile, "set fsGroup"),
            (io::ErrorKind::PermissionDenied.into(), TokenFile, "the file has mode 0600, owner "),
            (io::ErrorKind::InvalidInput.into(), TokenFile, "is not a regular file"),
            (io::ErrorKind::NotADirectory.into(), TokenFile, "is a file and not a directory"),
            (io::Error::from_raw_os_error(40), TokenFile, "a loop of symbolic links"),
            (io::Error::from_raw_os_error(5), Unavailable, "could not be read; the file is read again"),
        ] {
            let explained = explain(file.path(), error);
            assert_eq!(explained.kind(), kind, "{explained}");
            assert!(explained.to_string().contains(said), "{explained}");
        }
    }

    /// As a network volume whose server is gone.
    #[tokio::test(start_paused = true)]
    async fn a_volume_that_hangs_takes_two_threads_however_often_it_is_asked() {
        static READERS: AtomicUsize = AtomicUsize::new(0);
        static RETURNED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        fn hanging(_: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
            READERS.fetch_add(1, Ordering::Relaxed);
            drop(RETURNED.1.wait_while(RETURNED.0.lock().unwrap(), |returned| !*returned).unwrap());
            Ok(Zeroizing::new(b"header.payload.signature".to_vec()))
        }
        let path = Path::new("/hung/token");
        // tokio leaves paused time alone while a blocking thread works.
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
        // What the old reads bring is thrown away: the token may have been rotated since.
        while hangs(path) {
            tokio::task::yield_now().await;
        }
        read_by(path, hanging).await.unwrap();
        assert_eq!(READERS.load(Ordering::Relaxed), 3);
        let is_running = || READS.lock().unwrap()[path].iter().any(|(running, _)| running.strong_count() > 0);
        while is_running() {
            tokio::task::yield_now().await;
        }
        read_by(path, hanging).await.unwrap();
        assert_eq!(READS.lock().unwrap()[path].len(), 1, "those that have returned are forgotten");
    }

    #[test]
    fn the_largest_file_leaves_no_copies_of_a_buffer_that_grew() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [0, 1100, 64 * 1024, 128 * 1024] {
            fs::write(file.path(), vec![b'x'; length]).unwrap();
            let read = read_blocking(file.path()).unwrap();
            assert_eq!((read.len(), read.capacity()), (length.min(64 * 1024 + 1), ROOM));
        }
    }
}
