//! Sending one request and reading the whole answer: plain http for an agent, https for STS.
//!
//! | file | duty |
//! |---|---|
//! | `url.rs` | which URLs can be requested |
//! | `plain.rs`, `resolver.rs` | plain http to checked addresses, without a proxy |
//! | `https_settings.rs`, `proxy.rs`, `roots.rs` | what the environment says about https |
//! | `https.rs`, `renewing.rs` | builds the https client, and builds it again with more time to connect or another CA bundle |
//! | `reqwest_client.rs`, `sdk_client.rs` | the HTTP client for https: one of the two, by Cargo feature |
//! | `no_https.rs` | in place of all this, in a build without a client for https |
//! | `http_client.rs`, `reqwest_transport.rs` | requests through any HTTP client of the SDK, and through reqwest |
//! | `reply.rs`, `failure.rs`, `causes.rs` | a complete answer, and why an attempt ended without one |
//!
//! The clients built here follow no redirects, which would carry the token to another server, and keep no idle
//! connections: the next request is most of an hour away, and the agent closes them after 30 s. An HTTP client that is given
//! to the builder must not follow redirects either.
//!
//! Nothing is retried here: when to try again is decided in one place, [`crate::refresh::schedule`].

mod causes;
mod failure;
#[cfg(any(feature = "irsa", feature = "__sdk-http-client"))]
mod http_client;
#[cfg(feature = "__tls")]
mod https;
#[cfg(feature = "__tls")]
mod https_settings;
#[cfg(not(feature = "__tls"))]
#[path = "transport/no_https.rs"]
mod https_settings;
mod plain;
#[cfg(feature = "__tls")]
mod proxy;
#[cfg(feature = "__tls")]
mod renewing;
mod reply;
#[cfg(all(feature = "reqwest-http-client", not(feature = "__sdk-http-client")))]
mod reqwest_client;
#[cfg(any(
    all(feature = "reqwest_0_13", feature = "irsa"),
    all(feature = "reqwest-http-client", not(feature = "__sdk-http-client"))
))]
mod reqwest_transport;
mod resolver;
#[cfg(feature = "__tls")]
mod roots;
#[cfg(feature = "__sdk-http-client")]
mod sdk_client;
mod url;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, USER_AGENT};
use http::request::Builder;
use zeroize::Zeroizing;

use crate::error::problem::peer::Peer;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "irsa")]
pub(crate) use http_client::from_http_client;
pub(crate) use https_settings::HttpsSettings;
pub(crate) use plain::plain;
#[cfg(any(test, fuzzing))]
pub(crate) use reply::{MAX_BODY, read};
pub(crate) use reply::{Reply, quote};
#[cfg(all(feature = "reqwest_0_13", feature = "irsa"))]
pub(crate) use reqwest_transport::from_reqwest_0_13;
pub(crate) use url::{Host, HttpUrl};

/// The default of the AWS SDKs: two lost SYNs (retransmitted after 1 and 3 s), and time to try again within an attempt.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// How long name resolution, TCP, a proxy and TLS may take together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectTimeout {
    pub(crate) first: Duration,
    /// After an attempt that was too short, the next one has twice as long, up to this.
    pub(crate) longest: Duration,
}

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self { first: CONNECT_TIMEOUT, longest: CONNECT_TIMEOUT }
    }
}

/// The limits of time that were set in code.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeouts {
    pub(crate) attempt: Option<Duration>,
    pub(crate) connect: Option<Duration>,
}

impl Timeouts {
    /// The limit of an attempt at a source whose default is `default`.
    pub(crate) fn attempt(self, default: Duration) -> Duration {
        self.attempt.unwrap_or(default)
    }

    /// A longer attempt has proportionally longer to connect, unless that was set too.
    pub(crate) fn connect(self, default_attempt: Duration) -> ConnectTimeout {
        let attempt = self.attempt(default_attempt);
        let share = (attempt.as_secs_f64() / default_attempt.as_secs_f64()).max(1.0);
        match self.connect {
            Some(connect) => ConnectTimeout { first: connect, longest: connect },
            None => ConnectTimeout { first: CONNECT_TIMEOUT.mul_f64(share), longest: attempt.max(CONNECT_TIMEOUT) },
        }
    }
}

const AGENT_NAME: HeaderValue = HeaderValue::from_static(concat!("eks-credentials/", env!("CARGO_PKG_VERSION")));

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An HTTP client, shared by everything that sends through it.
pub(crate) type Client = Arc<dyn Transport>;

/// Sends one request and reads the whole answer. The caller limits the time.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>>;
}

/// A request with nothing in it yet but our name.
pub(crate) fn request(method: http::Method, url: &HttpUrl) -> Builder {
    http::Request::builder().method(method).uri(url.uri().clone()).header(USER_AGENT, AGENT_NAME)
}

/// The request with its body.
pub(crate) fn finish(request: Builder, body: Zeroizing<String>) -> Result<http::Request<Bytes>, Error> {
    let unusable = |_| Error::internal(ErrorKind::InvalidConfiguration, "the http request could not be built");
    request.body(wiped(body)).map_err(unusable)
}

/// For handing a secret to an HTTP crate: it is wiped when the last handle to it is dropped.
pub(crate) fn wiped(secret: Zeroizing<String>) -> Bytes {
    Bytes::from_owner(secret)
}

#[cfg(test)]
#[cfg(feature = "__tls")]
mod tests {
    use super::*;

    #[test]
    fn a_longer_attempt_has_longer_to_connect() {
        let seconds = |n| Some(Duration::from_secs(n));
        let default = Duration::from_secs(10);
        for (attempt, connect, first, longest) in [
            (None, None, 3100, 10_000),
            (seconds(30), None, 9300, 30_000),
            // A shorter one ends by its own limit.
            (seconds(5), None, 3100, 5000),
            (seconds(1), None, 3100, 3100),
            (seconds(30), seconds(2), 2000, 2000),
        ] {
            let limits = Timeouts { attempt, connect }.connect(default);
            assert_eq!((limits.first.as_millis(), limits.longest.as_millis()), (first, longest), "{attempt:?}");
        }
    }
}
