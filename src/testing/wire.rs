//! HTTP/1.1 by hand, one request a connection: a stand-in must be able to break off anywhere, which no server library lets
//! it.

use std::io;
use std::time::SystemTime;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::clock;

/// Larger than any request with a token of 64 KiB.
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

    /// The whole request; `None` if the client closed the connection before it began one.
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
                Ok(0) => return Err(bad("cut off".to_owned())),
                Ok(_) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// A client that went away meanwhile is its own affair. `now` is what the server's clock says.
    pub(super) async fn send(&mut self, response: &Response, now: SystemTime) {
        let _ = self.write(&response.head(now), &response.body).await;
    }

    /// The whole head and `length` bytes of the body, then the end of the connection.
    pub(super) async fn send_truncated(&mut self, response: &Response, now: SystemTime, length: usize) {
        let _ = self.write(&response.head(now), response.body.get(..length).unwrap_or_default()).await;
    }

    async fn write(&mut self, head: &str, body: &[u8]) -> io::Result<()> {
        self.0.write_all(&[head.as_bytes(), body].concat()).await?;
        self.0.shutdown().await
    }

    /// Until the client closes the connection.
    pub(super) async fn hang(&mut self) {
        let mut ignored = [0; 64];
        while matches!(self.0.read(&mut ignored).await, Ok(n) if n > 0) {}
    }

    /// RST instead of FIN.
    pub(super) fn reset(&mut self) {
        let _ = self.0.set_zero_linger();
    }
}

/// `None`: more bytes are needed.
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
