//! Servers in front of the stand-ins: STS for libraries that send the token in the URL, and instance metadata.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Forwards requests to the STS stand-in, and moves parameters from the URL to the body.
pub(crate) struct Sts {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    /// Requests with this token are refused.
    expired: Mutex<Option<String>>,
}

impl Sts {
    pub(crate) async fn before(sts: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (url, shared) = (format!("http://{}", listener.local_addr()?), Arc::new(Shared::default()));
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, sts, Arc::clone(&accepting)));
            }
        });
        Ok(Self { url, shared })
    }

    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    pub(crate) fn refuse(&self, token: String) {
        *self.shared.expired.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// The environment of the pod, with this server as STS.
    pub(crate) fn env(&self, mut env: Vec<(String, String)>) -> Vec<(String, String)> {
        env.retain(|(name, _)| name != "AWS_ENDPOINT_URL_STS");
        env.push(("AWS_ENDPOINT_URL_STS".into(), self.url.clone()));
        env
    }
}

async fn forward(mut client: TcpStream, sts: SocketAddr, shared: Arc<Shared>) -> Result<()> {
    let Request { target, body } = Request::read(&mut client).await?;
    shared.requests.fetch_add(1, Relaxed);
    let body = match target.split_once('?') {
        Some((_, query)) if body.is_empty() => query.to_owned(),
        _ => body,
    };
    let expired = shared.expired.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // Base64url and periods are not changed by the encoding of forms.
    if expired.is_some_and(|token| body.contains(&token)) {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token \
                     expired</Message></Error><RequestId>1</RequestId></ErrorResponse>";
        return respond(&mut client, "400 Bad Request", "text/xml", error).await;
    }
    let mut upstream = TcpStream::connect(sts).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {sts}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    upstream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut response = Vec::new();
    upstream.read_to_end(&mut response).await?;
    client.write_all(&response).await?;
    Ok(client.shutdown().await?)
}

/// Instance metadata (IMDSv2) with the role of a node.
pub(crate) struct Imds {
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
}

impl Imds {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (url, requests) = (format!("http://{}", listener.local_addr()?), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Relaxed);
                tokio::spawn(metadata(client));
            }
        });
        Ok(Self { url, requests })
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
}

async fn metadata(mut client: TcpStream) -> Result<()> {
    const CREDENTIALS: &str = r#"{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z",
        "AccessKeyId":"ASIANODE","SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}"#;
    let request = Request::read(&mut client).await?;
    let body = match request.target.as_str() {
        "/latest/api/token" => "token",
        path if path.trim_end_matches('/').ends_with("/node") => CREDENTIALS,
        _ => "node",
    };
    respond(&mut client, "200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600", "text/plain", body).await
}

async fn respond(client: &mut TcpStream, status: &str, content_type: &str, body: &str) -> Result<()> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
    client.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await?;
    Ok(client.shutdown().await?)
}

struct Request {
    target: String,
    body: String,
}

impl Request {
    async fn read(client: &mut TcpStream) -> Result<Self> {
        let mut bytes = Vec::new();
        loop {
            anyhow::ensure!(client.read_buf(&mut bytes).await? > 0, "the client closed the connection");
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
            });
            if body.len() >= length.transpose()?.unwrap_or_default() {
                let target = head.split(' ').nth(1).context("no target")?.to_owned();
                return Ok(Self { target, body: body.to_owned() });
            }
        }
    }
}
