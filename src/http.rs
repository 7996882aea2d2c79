//! Sending one request: the two clients (agent without TLS or proxy, STS with both), and what transport errors mean.
//!
//! Retrying is not done here: when to try again is decided in one place, [`crate::refresh::schedule`].

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::redirect;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// A healthy agent answers a connection in microseconds and STS in tens of milliseconds: 2 s leaves room for one lost
/// SYN (retransmitted after 1 s), and is short enough to try again within an attempt's budget.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Real answers have 1–3 KB.
const MAX_BODY: usize = 64 * 1024;
/// How much of an unexpected answer an error message quotes.
const MAX_QUOTE: usize = 300;

const USER_AGENT: &str = concat!("eks-credentials/", env!("CARGO_PKG_VERSION"));

/// A complete answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Whom a request goes to, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `STS at https://sts.eu-central-1.amazonaws.com`
    pub(crate) name: String,
    /// What to check when it does not answer.
    pub(crate) if_unreachable: &'static str,
}

/// What both clients have in common. No redirects: they would carry the token to somebody else. No idle connections:
/// the next request is most of an hour away, and the agent closes them after 30 s. No proxy unless one is added: a
/// proxy that captures the agent's address is a common outage.
pub(crate) fn base_client() -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(0)
        .http1_only()
        .no_proxy()
}

/// A client for plain http. With TLS compiled in, reqwest wants a TLS configuration even here: it gets the cheapest.
pub(crate) fn plain_client(builder: ClientBuilder) -> Result<Client, Error> {
    #[cfg(feature = "__tls")]
    let builder = builder.tls_backend_preconfigured(crate::tls::unused()?);
    builder
        .build()
        .map_err(|e| Error::caused_by(ErrorKind::InvalidConfiguration, "the http client could not be built", e))
}

/// Sends `request` and reads the whole answer. The caller bounds the time.
pub(crate) async fn send(request: RequestBuilder, peer: &Peer) -> Result<Reply, Error> {
    let mut response = request.send().await.map_err(|e| transport_error(peer, e))?;
    let status = response.status().as_u16();
    let header = response.headers().get(reqwest::header::CONTENT_TYPE);
    let content_type = header.and_then(|value| value.to_str().ok()).unwrap_or("no content type").to_owned();
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await.map_err(|e| transport_error(peer, e))? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            let message = format!("{} answered with more than 64 KiB: some other server is in the way", peer.name);
            return Err(Error::new(ErrorKind::InvalidResponse, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, content_type, body })
}

impl Reply {
    /// The beginning of the body, for messages.
    pub(crate) fn quote(&self, secret: &str) -> String {
        quote(&String::from_utf8_lossy(&self.body), secret)
    }
}

/// The beginning of what a server said, without the `secret` that was sent to it and might come back.
pub(crate) fn quote(said: &str, secret: &str) -> String {
    let mut text = said.trim().to_owned();
    // Keys in an answer that was not to have any: a success under another status.
    if ["secretaccesskey", "sessiontoken"].iter().any(|name| text.to_ascii_lowercase().contains(name)) {
        return "[a body with credentials]".to_owned();
    }
    for part in secret.split('.').chain([secret]).filter(|part| part.len() >= 8) {
        text = text.replace(part, "[redacted]");
    }
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None if text.is_empty() => "an empty body".to_owned(),
        None => text,
    }
}

fn transport_error(peer: &Peer, error: reqwest::Error) -> Error {
    let error = error.without_url();
    if let Some(refused) = find::<AddressNotAllowed>(&error) {
        let message = format!("{}: {refused}", peer.name);
        return Error::caused_by(ErrorKind::InvalidConfiguration, message, error);
    }
    if let Some(why) = tls_failure(&error) {
        let message = format!("{} {why}", peer.name);
        return Error::caused_by(ErrorKind::Unavailable, message, error);
    }
    let (kind, what) = match find::<io::Error>(&error).map(io::Error::kind) {
        _ if error.is_timeout() => (ErrorKind::Timeout, "could not be connected within 2 s"),
        Some(io::ErrorKind::ConnectionRefused) => (ErrorKind::Unavailable, "refused the connection"),
        Some(io::ErrorKind::ConnectionReset) => (ErrorKind::Unavailable, "reset the connection"),
        _ if error.is_connect() => (ErrorKind::Unavailable, "could not be reached"),
        _ => (ErrorKind::Unavailable, "closed the connection before its answer was complete"),
    };
    Error::caused_by(kind, format!("{} {what}: {}", peer.name, peer.if_unreachable), error)
}

#[cfg(feature = "__tls")]
fn tls_failure(error: &reqwest::Error) -> Option<String> {
    find::<rustls::Error>(error).map(|e| {
        format!(
            "was not trusted ({e}): if a proxy inspects TLS here, or the endpoint has a private CA, set AWS_CA_BUNDLE"
        )
    })
}

#[cfg(not(feature = "__tls"))]
fn tls_failure(_: &reqwest::Error) -> Option<String> {
    None
}

/// The first `E` among an error and its causes. hyper hides an `io::Error` in another one's inside, so those are opened.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        next = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}

/// A host name led to an address that plain http must not be spoken to.
#[derive(Debug)]
pub(crate) struct AddressNotAllowed {
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    pub(crate) allowed: &'static str,
}

impl std::fmt::Display for AddressNotAllowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, address, allowed } = self;
        write!(f, "the host \"{host}\" resolves to {}, but plain http is only for {allowed}; use https", address.ip())
    }
}

impl StdError for AddressNotAllowed {}
