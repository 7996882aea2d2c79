//! Sending one request: the two clients (plain http for an agent, https for STS), and what transport errors mean.
//!
//! Plain http goes through hyper alone. reqwest would want a TLS configuration there too: cryptography to start up, and
//! a panic in a program in which another crate has turned on reqwest's TLS without any.
//!
//! Retrying is not done here: when to try again is decided in one place, [`crate::refresh::schedule`].

mod resolver;

use std::error::Error as StdError;
use std::io;
use std::time::Duration;
#[cfg(feature = "diagnose")]
use std::time::SystemTime;

use bytes::Bytes;
#[cfg(feature = "diagnose")]
use http::header::DATE;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::request::Builder;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;
use zeroize::Zeroizing;

#[cfg(feature = "diagnose")]
use crate::clock;
use crate::error::{Error, ErrorKind};
use resolver::{BadName, Resolver, Vet};

/// A healthy agent answers a connection in microseconds and STS in tens of milliseconds: 2 s leaves room for one lost
/// SYN (retransmitted after 1 s), and is short enough to try again within an attempt's budget.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Real answers have 1–3 KB.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// When what answers does not speak the protocol.
const IF_NOT_ITSELF: &str = "check what answers at that address: a proxy or another server may be in its place";
/// How much of an unexpected answer an error message quotes.
const MAX_QUOTE: usize = 300;

const AGENT_NAME: HeaderValue = HeaderValue::from_static(concat!("eks-credentials/", env!("CARGO_PKG_VERSION")));

/// Whether `url` can be asked: a host name may have characters that http has no place for, and a path be too long for it.
pub(crate) fn check_url(url: &Url) -> Result<(), &'static str> {
    match http::Uri::try_from(url.as_str()) {
        Ok(_) => Ok(()),
        Err(_) => Err("is not a URL that can be asked by http"),
    }
}

/// A request with nothing in it yet but our name.
pub(crate) fn request(method: http::Method, url: &Url) -> Builder {
    http::Request::builder().method(method).uri(url.as_str()).header(USER_AGENT, AGENT_NAME)
}

/// The request, with its body.
pub(crate) fn finish(request: Builder, body: Zeroizing<String>) -> Result<http::Request<Bytes>, Error> {
    let unusable = |e| Error::caused_by(ErrorKind::InvalidConfiguration, "the http request could not be built", e);
    request.body(wiped(body)).map_err(unusable)
}

/// For handing a secret to an HTTP crate: whoever there holds it last wipes it.
pub(crate) fn wiped(secret: Zeroizing<String>) -> Bytes {
    Bytes::from_owner(secret)
}

/// A complete answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// What time it is at the server, to the second.
    #[cfg(feature = "diagnose")]
    pub(crate) date: Option<SystemTime>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Whom a request goes to, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `STS at https://sts.eu-central-1.amazonaws.com`
    pub(crate) name: String,
    /// What to check when it does not answer.
    pub(crate) if_unreachable: &'static str,
    /// What to check when it goes on answering that it cannot.
    pub(crate) if_failing: &'static str,
}

impl Peer {
    /// What to do about an answer that says no more than its kind.
    pub(crate) fn remedy(&self, kind: ErrorKind) -> String {
        match kind {
            ErrorKind::Throttled => {
                "it will be asked again; if this lasts, start fewer pods at once or have the limit raised".to_owned()
            }
            ErrorKind::Unavailable => format!("it will be asked again; if this lasts, {}", self.if_failing),
            _ => IF_NOT_ITSELF.to_owned(),
        }
    }
}

type PlainClient = hyper_util::client::legacy::Client<HttpConnector<Resolver>, Full<Bytes>>;

/// Neither follows redirects, which would carry the token to somebody else. Neither keeps idle connections: the next
/// request is most of an hour away, and the agent closes them after 30 s.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// No TLS and no proxy, ever: a proxy that captures the agent's address is a common outage.
    Plain(Box<PlainClient>),
    #[cfg(feature = "__tls")]
    Tls(reqwest::Client),
}

impl Client {
    /// For plain http. `vet` judges every address that a host name resolves to.
    pub(crate) fn plain(vet: Vet) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver { vet });
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self::Plain(Box::new(client))
    }

    /// Sends `request` and reads the whole answer. The caller bounds the time.
    pub(crate) async fn send(&self, request: http::Request<Bytes>, peer: &Peer) -> Result<Reply, Error> {
        match self {
            Self::Plain(client) => {
                let answer = client.request(request.map(Full::new)).await.map_err(|e| {
                    let connecting = e.is_connect();
                    transport_error(peer, e, connecting)
                })?;
                read(answer, peer).await
            }
            #[cfg(feature = "__tls")]
            Self::Tls(client) => {
                let request = request.try_into().map_err(|e: reqwest::Error| explain_reqwest(peer, e))?;
                let answer = client.execute(request).await.map_err(|e| explain_reqwest(peer, e))?;
                read(answer.into(), peer).await
            }
        }
    }
}

/// The whole answer, if it is one that may be looked at.
pub(crate) async fn read<B>(answer: http::Response<B>, peer: &Peer) -> Result<Reply, Error>
where
    B: BodyExt<Data: AsRef<[u8]>, Error: StdError + Send + Sync + 'static> + Unpin,
{
    let status = answer.status().as_u16();
    if answer.status().is_redirection() {
        let what = format!("answered {status}, a redirect, which is not followed because the token would go along");
        return Err(Error::new(ErrorKind::InvalidResponse, format!("{} {what}: {IF_NOT_ITSELF}", peer.name)));
    }
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("no content type").to_owned();
    #[cfg(feature = "diagnose")]
    let date = answer.headers().get(DATE).and_then(|value| clock::parse_http_date(value.to_str().ok()?));
    let mut stream = answer.into_body();
    // It never grows: that would leave a copy behind.
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|e| transport_error(peer, e, false))?;
        // Trailers carry nothing that anybody asked for.
        let Some(chunk) = frame.data_ref().map(AsRef::as_ref) else { continue };
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            let message = format!("{} answered with more than 64 KiB: {IF_NOT_ITSELF}", peer.name);
            return Err(Error::new(ErrorKind::InvalidResponse, message));
        }
        body.extend_from_slice(chunk);
    }
    Ok(Reply {
        status,
        content_type,
        #[cfg(feature = "diagnose")]
        date,
        body,
    })
}

impl Reply {
    /// A success in which `what` is wrong. The `secret` that was sent may come back in any place.
    pub(crate) fn invalid(&self, peer: &Peer, what: &str, secret: &str) -> Error {
        let what = if self.body.trim_ascii().is_empty() { "an empty body" } else { what };
        let content_type = quote(&self.content_type, secret);
        let message = format!("{} answered 200 ({content_type}) with {what}: {IF_NOT_ITSELF}", peer.name);
        Error::new(ErrorKind::InvalidResponse, message)
    }

    /// The body, whatever it is. It may quote the token.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).into_owned())
    }

    /// The beginning of the body, for messages.
    pub(crate) fn quote(&self, secret: &str) -> String {
        quote(&self.text(), secret)
    }
}

/// The beginning of what a server said, without the `secret` that was sent to it and might come back.
pub(crate) fn quote(said: &str, secret: &str) -> String {
    let mut text = Zeroizing::new(said.trim().to_owned());
    // Keys in an answer that was not to have any: a success under another status.
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    if ["secretaccesskey", "sessiontoken"].iter().any(|name| lower.contains(name)) {
        return "[a body with credentials]".to_owned();
    }
    // The whole first: what is replaced is not even copied.
    for part in [secret].into_iter().chain(secret.split('.')).filter(|part| part.len() >= 8) {
        text = Zeroizing::new(text.replace(part, "[redacted]"));
    }
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None if text.is_empty() => "an empty body".to_owned(),
        None => text.to_string(),
    }
}

/// A URL may hold what is nobody's business, so reqwest's errors are shown without.
#[cfg(feature = "__tls")]
fn explain_reqwest(peer: &Peer, error: reqwest::Error) -> Error {
    let connecting = error.is_connect();
    transport_error(peer, error.without_url(), connecting)
}

fn transport_error(peer: &Peer, error: impl StdError + Send + Sync + 'static, connecting: bool) -> Error {
    if let Some(bad) = find::<BadName>(&error) {
        let message = format!("{} could not be asked: {bad}", peer.name);
        return Error::caused_by(bad.kind(), message, error);
    }
    if let Some(why) = tls_failure(&error) {
        let message = format!("{} {why}", peer.name);
        return Error::caused_by(ErrorKind::Unavailable, message, error);
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        let message = format!("{} answered something that is not HTTP: {IF_NOT_ITSELF}", peer.name);
        return Error::caused_by(ErrorKind::InvalidResponse, message, error);
    }
    let (kind, what) = match io_kind(&error) {
        _ if connecting && is_timeout(&error) => (ErrorKind::Timeout, "could not be connected within 2 s"),
        _ if is_timeout(&error) => (ErrorKind::Timeout, "did not answer in time"),
        Some(io::ErrorKind::ConnectionRefused) => (ErrorKind::Unavailable, "refused the connection"),
        // The second and third are how a reset shows while the request is still being sent.
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe) => {
            (ErrorKind::Unavailable, "reset the connection")
        }
        _ if connecting => (ErrorKind::Unavailable, "could not be reached"),
        _ => (ErrorKind::Unavailable, "closed the connection before its answer was complete"),
    };
    Error::caused_by(kind, format!("{} {what}: {}", peer.name, peer.if_unreachable), error)
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let timed_out = io_kind(error) == Some(io::ErrorKind::TimedOut);
    #[cfg(feature = "__tls")]
    let timed_out = timed_out || find::<reqwest::Error>(error).is_some_and(reqwest::Error::is_timeout);
    timed_out
}

/// Whether it was TLS that failed.
#[cfg(all(feature = "diagnose", feature = "__tls"))]
pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    find::<rustls::Error>(error).is_some()
}

#[cfg(feature = "__tls")]
fn tls_failure(error: &(dyn StdError + 'static)) -> Option<String> {
    use rustls::CertificateError as Bad;
    let error = find::<rustls::Error>(error)?;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return Some(format!(
            "and this client found no way to speak TLS ({error}): check what answers at that address"
        ));
    };
    let (what, remedy) = match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            ("has a certificate that has expired", "have it renewed, or set this node's clock right")
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            ("has a certificate that is not valid yet", "set this node's clock right")
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => (
            "has a certificate for another name",
            "check the endpoint's URL, and with a private DNS zone or VPC endpoint what its name leads to",
        ),
        _ => ("was not trusted", "if a proxy inspects TLS here, or the endpoint has a private CA, set AWS_CA_BUNDLE"),
    };
    Some(format!("{what} ({bad}): {remedy}"))
}

#[cfg(not(feature = "__tls"))]
fn tls_failure(_: &(dyn StdError + 'static)) -> Option<String> {
    None
}

/// The first `E` among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The first kind of I/O error that says anything: TLS wraps those of TCP in others.
pub(crate) fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut kinds = causes(error).filter_map(|cause| cause.downcast_ref()).map(io::Error::kind);
    kinds.find(|kind| *kind != io::ErrorKind::Other)
}

/// An error and its causes. hyper hides an `io::Error` in another one's inside, so those are opened.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&current: &&'a (dyn StdError + 'static)| {
        match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside as &(dyn StdError + 'static)),
            None => current.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_largest_answer_leaves_no_copies_of_a_buffer_that_grew() {
        let peer = Peer { name: String::new(), if_unreachable: "", if_failing: "" };
        for length in [0, 100, MAX_BODY] {
            let answer = http::Response::new(Full::new(Bytes::from(vec![b'x'; length])));
            let Ok(reply) = read(answer, &peer).await else { panic!("{length} bytes are refused") };
            assert_eq!((reply.body.len(), reply.body.capacity()), (length, MAX_BODY));
        }
    }
}
