//! Shared by the tests: a check that no secret is logged, not even at TRACE, and servers with configured answers.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "each test uses only a part")]

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

/// The beginnings of the local pod's secrets: secret access keys, session tokens, and the header of every JWT.
pub(crate) const SECRETS: [&str; 3] = ["local-secret-", "local-session-", "eyJ0eXAi"];

/// Enables logs of all crates at TRACE. If a secret is logged, the process is aborted.
pub(crate) fn trace() {
    // Fails if another test of the process has already set the subscriber.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| SecretCheck)
        .try_init();
}

/// A writer that discards the log. It aborts the process if the log contains a secret.
struct SecretCheck;

impl Write for SecretCheck {
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

/// Returns the secret that a text contains in plain, in base64 (at any of its three alignments), in hex, or as a list of bytes.
pub(crate) fn leaked(text: &str) -> Option<&'static str> {
    let forbidden = FORBIDDEN.lock().unwrap();
    forbidden.iter().find(|(form, _)| text.contains(form)).map(|(_, secret)| *secret)
}

/// Every encoding of every secret, and the secret that it belongs to.
static FORBIDDEN: LazyLock<Mutex<Vec<(String, &str)>>> = LazyLock::new(|| {
    let beginnings = SECRETS.into_iter().flat_map(|secret| forms(secret).into_iter().map(move |form| (form, secret)));
    Mutex::new(beginnings.collect())
});

/// Adds a secret to those that must not be logged. Each half of it is checked separately.
pub(crate) fn keep_secret(secret: &str) {
    let (front, back) = secret.split_at(secret.len() / 2);
    let halves = [front, back].into_iter().flat_map(forms);
    FORBIDDEN.lock().unwrap().extend(halves.map(|form| (form, "half of a secret of this test")));
}

fn forms(secret: &str) -> BTreeSet<String> {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let bytes = |byte: fn(&u8) -> String, between| secret.as_bytes().iter().map(byte).collect::<Vec<_>>().join(between);
    let plain = [secret.to_owned(), bytes(|byte| format!("{byte:02x}"), ""), bytes(u8::to_string, ", ")];
    plain.into_iter().chain(base64(&STANDARD_NO_PAD, secret)).chain(base64(&URL_SAFE_NO_PAD, secret)).collect()
}

/// The base64 of a text that contains `secret` contains one of these three strings, depending on the position of the secret.
fn base64(engine: &impl base64::Engine, secret: &str) -> [String; 3] {
    [0, 1, 2].map(|skip| {
        let padded = [&vec![0; skip], secret.as_bytes()].concat();
        let encoded = engine.encode(padded);
        // The first and last characters depend on the text around the secret.
        encoded[(skip * 8).div_ceil(6)..encoded.len() - 1].to_owned()
    })
}

/// Aborts the process if the message of a panic in any thread or task contains a secret.
pub(crate) fn watch_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = SecretCheck.write(panic.to_string().as_bytes());
        report(panic);
    }));
}

pub(crate) fn provider(env: Vec<(String, String)>) -> EksCredentialsProvider {
    builder(env).build().unwrap()
}

pub(crate) fn builder(env: Vec<(String, String)>) -> Builder {
    EksCredentialsProvider::builder().env(env)
}

/// Returns `vars` with `name` set to `value`. An earlier value is replaced.
pub(crate) fn with(mut vars: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    vars.retain(|(existing, _)| existing != name);
    vars.push((name.to_owned(), value.to_owned()));
    vars
}

/// Returns `vars` without `name`.
pub(crate) fn without(mut vars: Vec<(String, String)>, name: &str) -> Vec<(String, String)> {
    vars.retain(|(existing, _)| existing != name);
    vars
}

/// Fails with a diff if the file at `path` differs from `text`. With `EKS_CREDENTIALS_BLESS=1` it writes the file instead.
pub(crate) fn bless_or_compare(path: &Path, text: &str) {
    #[allow(clippy::disallowed_methods, reason = "this variable controls the test and is not a setting of the crate")]
    if std::env::var("EKS_CREDENTIALS_BLESS").is_ok() {
        return std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(expected.as_str(), text);
    let name = path.display().to_string();
    assert!(expected == text, "{}", diff.unified_diff().context_radius(3).header(&name, "this run"));
}

/// Whether this user can read files without read permission. Root can, unless it is not mapped in its user namespace.
#[cfg(unix)]
pub(crate) fn may_read_everything() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    let no_permissions = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(file.path(), no_permissions).unwrap();
    std::fs::File::open(file.path()).is_ok()
}

/// Returns the message of the error and of all its causes.
pub(crate) fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(because) = cause {
        text = format!("{text}: {because}");
        cause = because.source();
    }
    text
}

/// A server that records the text of each request and answers all of them with the same bytes.
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

/// Reads a complete request. Returns `None` if the client disconnects before the request is complete.
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

/// Returns a complete HTTP response.
pub(crate) fn http(status: u16, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Waits until the value of `count` no longer changes, and returns it.
///
/// The two ends of a connection do not close at the same time, and aborting a task is asynchronous. Both take only a moment.
pub(crate) async fn settled<T: PartialEq>(count: impl Fn() -> T) -> T {
    let (mut value, mut unchanged) = (count(), 0);
    while unchanged < 1000 {
        tokio::task::yield_now().await;
        let now = count();
        unchanged = if now == value { unchanged + 1 } else { 0 };
        value = now;
    }
    value
}
