//! What the tests share: logs at TRACE that no secret may enter, and servers that say exactly what a test wants.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "each test uses its part of it")]

pub(crate) mod ca;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eks_credentials::{Builder, EksCredentialsProvider, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// Which secret a text shows, in plain or in base64 (at any of its three alignments).
pub(crate) fn leaked(text: &str) -> Option<&'static str> {
    use base64::Engine as _;
    let base64 = |secret: &str, skip: usize| {
        let padded = [&vec![0; skip], secret.as_bytes()].concat();
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
        // The first and last characters depend on what stands around the secret.
        encoded[(skip * 8).div_ceil(6)..encoded.len() - 1].to_owned()
    };
    SECRETS.into_iter().find(|secret| text.contains(secret) || (0..3).any(|skip| text.contains(&base64(secret, skip))))
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
                let mut request = Vec::new();
                while !complete(&request) {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                seen.lock().unwrap().push(String::from_utf8(request).unwrap());
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
