//! Sends one request and reads the complete response: over plain http to an agent, over https to STS.
//!
//! | file | duty |
//! |---|---|
//! | `url.rs` | the URLs that requests can have |
//! | `plain.rs`, `resolver.rs` | plain http to checked addresses, without a proxy |
//! | `https_settings.rs`, `proxy.rs`, `roots.rs` | the settings for https, from the environment |
//! | `https.rs`, `renewing.rs` | builds the https client, and builds it again with a longer connect timeout or a changed CA bundle |
//! | `reqwest_client.rs`, `sdk_client.rs` | the HTTP client for https; a Cargo feature selects one of them |
//! | `no_https.rs` | replaces the files for https in a build without a client for it |
//! | `http_client.rs`, `reqwest_transport.rs` | sends requests with an HTTP client of the SDK, or with reqwest |
//! | `reply.rs`, `failure.rs`, `causes.rs` | the complete response, or the reason why there is no complete response |
//!
//! The clients built here do not follow redirects, because that would send the token to another server. They keep no idle
//! connections: the next request is usually almost an hour away, and the agent closes idle connections after 30 s. An HTTP
//! client given to the builder must not follow redirects either.
//!
//! Requests are not retried here. [`crate::refresh::schedule`] decides when to try again.

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
use http::header::{HeaderValue, InvalidHeaderValue, USER_AGENT};
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

/// The default of the AWS SDKs. Two lost SYN packets, which are retransmitted after 1 s and 3 s, do not exceed it, and an attempt
/// still has time to connect to another address.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// The limit for name resolution, TCP, the proxy and TLS together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectTimeout {
    pub(crate) first: Duration,
    /// After a timeout the next attempt has twice the limit, up to this one.
    pub(crate) longest: Duration,
}

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self { first: CONNECT_TIMEOUT, longest: CONNECT_TIMEOUT }
    }
}

/// The timeouts that the builder sets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeouts {
    pub(crate) attempt: Option<Duration>,
    pub(crate) connect: Option<Duration>,
}

impl Timeouts {
    /// The limit of one attempt. `default` is that of the source.
    pub(crate) fn attempt(self, default: Duration) -> Duration {
        self.attempt.unwrap_or(default)
    }

    /// The limit for connecting. If only the attempt timeout is set, and it is longer than the default, the connect timeout
    /// grows in the same proportion.
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

/// A shared HTTP client.
pub(crate) type Client = Arc<dyn Transport>;

/// Sends one request and reads the complete response. The caller sets the time limit.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>>;
}

/// Begins a request. Its only header is `User-Agent`.
pub(crate) fn request(method: http::Method, url: &HttpUrl) -> Builder {
    http::Request::builder().method(method).uri(url.uri().clone()).header(USER_AGENT, AGENT_NAME)
}

/// Adds the body to the request.
pub(crate) fn finish(request: Builder, body: Zeroizing<String>) -> Result<http::Request<Bytes>, Error> {
    let unusable = |_| Error::internal(ErrorKind::InvalidConfiguration, "the http request could not be built");
    request.body(wiped(body)).map_err(unusable)
}

/// Converts a secret for an HTTP crate. Its memory is wiped when the last clone of the `Bytes` is dropped.
fn wiped(secret: Zeroizing<String>) -> Bytes {
    Bytes::from_owner(secret)
}

/// A header value with a secret. Its memory is wiped when the request is dropped, and it is marked as sensitive, so HTTP crates
/// do not log it.
pub(crate) fn secret_header(secret: Zeroizing<String>) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(wiped(secret))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of the secret would not be wiped.
    #[test]
    fn secret_header_does_not_copy_the_secret() {
        let secret = Zeroizing::new("header.payload.signature".to_owned());
        let address = secret.as_ptr();
        let header = secret_header(secret).unwrap();
        assert_eq!((header.as_bytes().as_ptr(), header.is_sensitive()), (address, true));
        assert!(secret_header(Zeroizing::new("two\nlines".to_owned())).is_err());
    }

    #[cfg(feature = "__tls")]
    #[test]
    fn connect_timeout_grows_with_a_longer_attempt_timeout() {
        let seconds = |n| Some(Duration::from_secs(n));
        let default = Duration::from_secs(10);
        for (attempt, connect, first, longest) in [
            (None, None, 3100, 10_000),
            (seconds(30), None, 9300, 30_000),
            // A shorter attempt timeout does not change the connect timeout.
            (seconds(5), None, 3100, 5000),
            (seconds(1), None, 3100, 3100),
            (seconds(30), seconds(2), 2000, 2000),
        ] {
            let limits = Timeouts { attempt, connect }.connect(default);
            assert_eq!((limits.first.as_millis(), limits.longest.as_millis()), (first, longest), "{attempt:?}");
        }
    }
}
