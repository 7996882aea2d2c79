//! What the tests share: logs at TRACE that no secret may enter, and servers that say exactly what a test wants.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "each test uses its part of it")]

pub(crate) mod ca;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use eks_credentials::{Builder, EksCredentialsProvider, Error};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the local pod's secrets begin with: secret keys, session tokens, and the header of every JWT.
pub(crate) const SECRETS: [&str; 3] = ["local-secret-", "local-session-", "eyJ0eXAi"];

/// Collects the logs of the whole process, from all crates, at TRACE; a secret in them ends it.
pub(crate) fn trace() {
    // A second test of the process finds it set.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| Sieve)
        .try_init();
}

/// Fails on a secret; keeps nothing.
struct Sieve;

impl Write for Sieve {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if let Some(secret) = leaked(&text) {
            eprintln!("a secret ({secret}…) was logged:\n{text}");
            std::process::abort();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which secret a text shows, in plain, in base64 (at any of its three alignments), in hex, or as a list of bytes.
pub(crate) fn leaked(text: &str) -> Option<&'static str> {
    let forbidden = FORBIDDEN.lock().unwrap();
    forbidden.iter().find(|(form, _)| text.contains(form)).map(|(_, secret)| *secret)
}

/// Every form of what may not be shown, and what it is one of.
static FORBIDDEN: LazyLock<Mutex<Vec<(String, &str)>>> = LazyLock::new(|| {
    let beginnings = SECRETS.into_iter().flat_map(|secret| forms(secret).into_iter().map(move |form| (form, secret)));
    Mutex::new(beginnings.collect())
});

/// From now on neither half of this secret may be shown either.
pub(crate) fn keep_secret(secret: &str) {
    let (front, back) = secret.split_at(secret.len() / 2);
    let halves = [front, back].into_iter().flat_map(forms);
    FORBIDDEN.lock().unwrap().extend(halves.map(|form| (form, "half of one that a test keeps")));
}

fn forms(secret: &str) -> BTreeSet<String> {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let bytes = |byte: fn(&u8) -> String, between| secret.as_bytes().iter().map(byte).collect::<Vec<_>>().join(between);
    let plain = [secret.to_owned(), bytes(|byte| format!("{byte:02x}"), ""), bytes(u8::to_string, ", ")];
    plain.into_iter().chain(base64(&STANDARD_NO_PAD, secret)).chain(base64(&URL_SAFE_NO_PAD, secret)).collect()
}

/// What `secret` is in the base64 of a text that holds it: in one of three forms, by where it begins.
fn base64(engine: &impl base64::Engine, secret: &str) -> [String; 3] {
    [0, 1, 2].map(|skip| {
        let padded = [&vec![0; skip], secret.as_bytes()].concat();
        let encoded = engine.encode(padded);
        // The first and last characters depend on what stands around the secret.
        encoded[(skip * 8).div_ceil(6)..encoded.len() - 1].to_owned()
    })
}

/// A panic of any thread or task whose message shows a secret ends the process, as a log does.
pub(crate) fn watch_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = Sieve.write(panic.to_string().as_bytes());
        report(panic);
    }));
}

pub(crate) fn provider(env: Vec<(String, String)>) -> EksCredentialsProvider {
    builder(env).build().unwrap()
}

pub(crate) fn builder(env: Vec<(String, String)>) -> Builder {
    EksCredentialsProvider::builder().env(env)
}

/// `vars` with `name` set to `value` instead of what it was.
pub(crate) fn with(mut vars: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    vars.retain(|(existing, _)| existing != name);
    vars.push((name.to_owned(), value.to_owned()));
    vars
}

/// `vars` without `name`.
pub(crate) fn without(mut vars: Vec<(String, String)>, name: &str) -> Vec<(String, String)> {
    vars.retain(|(existing, _)| existing != name);
    vars
}

/// Whether `text` is what was kept at `path`, for a person to read; `EKS_CREDENTIALS_BLESS=1` writes it anew.
pub(crate) fn bless_or_compare(path: &Path, text: &str) {
    #[allow(clippy::disallowed_methods, reason = "how a test is told to write the file, not a setting of the crate")]
    if std::env::var("EKS_CREDENTIALS_BLESS").is_ok() {
        return std::fs::write(path, text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(kept.as_str(), text);
    let name = path.display().to_string();
    assert!(kept == text, "{}", diff.unified_diff().context_radius(3).header(&name, "this run"));
}

/// Root may read what is denied to everybody, unless it is mapped to nobody in a user namespace.
pub(crate) fn may_read_everything() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(file.path(), nobody).unwrap();
    std::fs::File::open(file.path()).is_ok()
}

/// The message and those of all causes.
pub(crate) fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(because) = cause {
        text = format!("{text}: {because}");
        cause = because.source();
    }
    text
}

/// A server that records requests as they are and answers each with the same bytes.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Recorder {
    pub(crate) async fn start(answer: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (answer, seen) = (answer.into(), Arc::clone(&requests));
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await.unwrap_or_default();
                seen.lock().unwrap().push(request);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, requests, server }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A whole request; `None` if the client goes away before it has sent one.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    while !complete(&request) {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(request).ok()
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

/// A whole HTTP answer.
pub(crate) fn http(status: u16, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What `count` says once it has stopped changing: both ends of a connection close a moment after each other, and aborting
/// is asynchronous, but prompt.
pub(crate) async fn settled<T: PartialEq>(count: impl Fn() -> T) -> T {
    let (mut seen, mut same) = (count(), 0);
    while same < 1000 {
        tokio::task::yield_now().await;
        let now = count();
        same = if now == seen { same + 1 } else { 0 };
        seen = now;
    }
    seen
}
