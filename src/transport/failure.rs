//! Why there is no complete answer: errors of the network and of TLS, in words.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::resolver::BadName;
use super::{BoxError, Peer};
use crate::error::{Error, ErrorKind};

/// When the answer is not of the expected protocol.
pub(super) const IF_NOT_ITSELF: &str =
    "check what answers at that address: a proxy or another server may be in its place";

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Name, connection, proxy and TLS.
    Connect,
    /// The request has begun to be sent.
    Exchange,
}

/// What an HTTP client failed with.
#[derive(Debug)]
pub(super) struct Failure {
    phase: Phase,
    timeout: Option<Reached>,
    error: BoxError,
}

/// A limit of time of the client itself.
#[derive(Debug)]
enum Reached {
    Connect(Duration),
    /// One that was set elsewhere.
    Other,
}

impl Failure {
    pub(super) fn new(phase: Phase, error: impl Into<BoxError>) -> Self {
        Self { phase, timeout: None, error: error.into() }
    }

    /// The client's own limit of time was reached. `connect_timeout` is the one for connecting, if it is known.
    pub(super) fn timeout(phase: Phase, connect_timeout: Option<Duration>, error: impl Into<BoxError>) -> Self {
        let reached = match (phase, connect_timeout) {
            (Phase::Connect, Some(limit)) => Reached::Connect(limit),
            _ => Reached::Other,
        };
        Self { phase, timeout: Some(reached), error: error.into() }
    }

    pub(super) fn explain(self, peer: &Peer) -> Error {
        let Self { phase, timeout, error } = self;
        let cause: &(dyn StdError + 'static) = &*error;
        if let Some(bad) = find::<BadName>(cause) {
            let (kind, message) = (bad.kind(), format!("{} could not be asked: {bad}", peer.name));
            return Error::caused_by(kind, message, error);
        }
        if let Some(why) = tls::explain(cause) {
            let message = format!("{} {why}", peer.name);
            return Error::caused_by(ErrorKind::Unavailable, message, error);
        }
        if find::<hyper::Error>(cause).is_some_and(hyper::Error::is_parse) {
            let message = format!("{} answered something that is not HTTP: {IF_NOT_ITSELF}", peer.name);
            return Error::caused_by(ErrorKind::InvalidResponse, message, error);
        }
        let (kind, what) = match (phase, io_kind(cause)) {
            (_, io_kind) if timeout.is_some() || io_kind == Some(io::ErrorKind::TimedOut) => {
                let what = match timeout {
                    Some(Reached::Connect(limit)) => format!("did not accept a connection within {limit:?}"),
                    _ => "did not answer in time".to_owned(),
                };
                (ErrorKind::Timeout, what)
            }
            (_, Some(io::ErrorKind::ConnectionRefused)) => {
                (ErrorKind::Unavailable, "refused the connection".to_owned())
            }
            // The second and third are how a reset shows while the request is still being sent.
            (
                _,
                Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe),
            ) => (ErrorKind::Unavailable, "reset the connection".to_owned()),
            (Phase::Connect, _) => (ErrorKind::Unavailable, "could not be reached".to_owned()),
            (Phase::Exchange, _) => {
                (ErrorKind::Unavailable, "closed the connection before its answer was complete".to_owned())
            }
        };
        Error::caused_by(kind, format!("{} {what}: {}", peer.name, peer.if_unreachable), error)
    }
}

#[cfg(all(feature = "diagnose", feature = "__tls"))]
pub(crate) use tls::is_tls;

#[cfg(feature = "__tls")]
mod tls {
    use rustls::CertificateError as Bad;

    use super::{StdError, find};

    /// Whether it was TLS that failed.
    #[cfg(feature = "diagnose")]
    pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
        find::<rustls::Error>(error).is_some()
    }

    pub(super) fn explain(error: &(dyn StdError + 'static)) -> Option<String> {
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
            _ => {
                ("was not trusted", "if a proxy inspects TLS here, or the endpoint has a private CA, set AWS_CA_BUNDLE")
            }
        };
        Some(format!("{what} ({bad}): {remedy}"))
    }
}

#[cfg(not(feature = "__tls"))]
mod tls {
    use super::StdError;

    pub(super) fn explain(_: &(dyn StdError + 'static)) -> Option<String> {
        None
    }
}

/// The first `E` among an error and its causes.
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
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
