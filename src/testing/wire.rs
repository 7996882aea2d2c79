//! A minimal HTTP/1.1 server connection, with one request for each connection.
//!
//! A stand-in must be able to end a connection at any point of a response. Server libraries do not allow this.

use std::io;
use std::time::SystemTime;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::clock;

/// A token has at most 64 KiB, so this is enough for every request of a correct client.
const MAX_REQUEST: usize = 256 * 1024;
const MAX_HEADERS: usize = 32;

pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: String) -> Self {
        Self { status, content_type: content_type.to_owned(), body: body.into_bytes() }
    }

    fn head(&self, now: SystemTime) -> String {
        let Self { status, content_type, body } = self;
        format!(
            "HTTP/1.1 {status} Stand-In\r\ndate: {}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            clock::http_date(now),
            body.len()
        )
    }
}

pub(super) struct Connection(TcpStream);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Reads a complete request. Returns `None` if the client closes the connection before it sends the first byte.
    pub(super) async fn read_request(&mut self) -> io::Result<Option<Request>> {
        let mut bytes = Vec::with_capacity(4096);
        let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        loop {
            if let Some(request) = parse(&bytes).map_err(bad)? {
                return Ok(Some(request));
            }
            if bytes.len() > MAX_REQUEST {
                return Err(bad(format!("longer than {MAX_REQUEST} bytes")));
            }
            match self.0.read_buf(&mut bytes).await {
                Ok(0) | Err(_) if bytes.is_empty() => return Ok(None),
                Ok(0) => return Err(bad("the request is incomplete".to_owned())),
                Ok(_) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends a response. `now` is the time of the server's clock. Errors are ignored: the client may have disconnected.
    pub(super) async fn send(&mut self, response: &Response, now: SystemTime) {
        let _ = self.write(&response.head(now), &response.body).await;
    }

    /// Sends the head and the first `length` bytes of the body, and closes the connection.
    pub(super) async fn send_truncated(&mut self, response: &Response, now: SystemTime, length: usize) {
        let _ = self.write(&response.head(now), response.body.get(..length).unwrap_or_default()).await;
    }

    async fn write(&mut self, head: &str, body: &[u8]) -> io::Result<()> {
        self.0.write_all(&[head.as_bytes(), body].concat()).await?;
        self.0.shutdown().await
    }

    /// Returns when the client closes the connection.
    pub(super) async fn wait_for_close(&mut self) {
        let mut ignored = [0; 64];
        while matches!(self.0.read(&mut ignored).await, Ok(n) if n > 0) {}
    }

    /// Makes the kernel send RST instead of FIN when the connection is closed.
    pub(super) fn reset(&mut self) {
        let _ = self.0.set_zero_linger();
    }
}

/// Returns `None` if more bytes are needed.
fn parse(bytes: &[u8]) -> Result<Option<Request>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|e| e.to_string())? else { return Ok(None) };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers,
        body: Vec::new(),
    };
    let expected = match request.header("content-length") {
        Some(length) => length.parse::<usize>().map_err(|e| format!("content-length: {e}"))?,
        None => 0,
    };
    let body = bytes.get(length..).unwrap_or_default();
    Ok((body.len() >= expected).then(|| Request { body: body.to_vec(), ..request }))
}
