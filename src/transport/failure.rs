//! Why there is no complete answer: what an HTTP client failed with, as a [`NoAnswer`].

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::BoxError;
use super::resolver::BadName;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::peer::Peer;

/// What an HTTP client failed with.
#[derive(Debug)]
pub(super) struct Failure {
    phase: Phase,
    /// The client's own limit of time was reached; the limit, if it is known.
    timeout: Option<Option<Duration>>,
    error: BoxError,
}

impl Failure {
    pub(super) fn new(phase: Phase, error: impl Into<BoxError>) -> Self {
        Self { phase, timeout: None, error: error.into() }
    }

    /// The client's own limit of time was reached. `connect_timeout` is the one for connecting, if it is known.
    pub(super) fn timeout(phase: Phase, connect_timeout: Option<Duration>, error: impl Into<BoxError>) -> Self {
        let limit = connect_timeout.filter(|_| phase == Phase::Connect);
        Self { phase, timeout: Some(limit), error: error.into() }
    }

    pub(super) fn explain(self, peer: &Peer) -> Error {
        let what = self.what();
        let problem = NoAnswer { peer: peer.clone(), phase: self.phase, what };
        Error::caused_by(Problem::NoAnswer(Box::new(problem)), self.error)
    }

    fn what(&self) -> What {
        use io::ErrorKind as Io;
        let cause: &(dyn StdError + 'static) = &*self.error;
        if let Some(bad) = find::<BadName>(cause) {
            return bad.what();
        }
        if let Some(why) = tls::explain(cause) {
            return What::Tls(why);
        }
        if find::<hyper::Error>(cause).is_some_and(hyper::Error::is_parse) {
            return What::NotHttp;
        }
        match (io_kind(cause), self.timeout) {
            (_, Some(limit)) => What::TimedOut(limit),
            (Some(Io::TimedOut), None) => What::TimedOut(None),
            (Some(Io::ConnectionRefused), _) => What::Refused,
            // The second and third are how a reset shows while the request is still being sent.
            (Some(Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe), _) => What::Reset,
            (Some(Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable), _) => {
                What::NoRoute { cause: innermost(cause) }
            }
            _ if self.phase == Phase::Connect => What::NotConnected { cause: innermost(cause) },
            _ => What::Closed,
        }
    }
}

#[cfg(feature = "__tls")]
mod tls {
    use rustls::CertificateError as Bad;

    use super::{StdError, find};
    use crate::error::problem::network::{Objection, Tls};

    /// Why TLS failed, if it did.
    pub(super) fn explain(error: &(dyn StdError + 'static)) -> Option<Tls> {
        let error = find::<rustls::Error>(error)?;
        let rustls::Error::InvalidCertificate(bad) = error else {
            return Some(Tls { objection: Objection::Protocol, cause: error.to_string() });
        };
        let objection = match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => Objection::Expired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => Objection::NotValidYet,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Objection::WrongName,
            Bad::UnknownIssuer => Objection::UnknownIssuer,
            // webpki's own error is inside, and rustls shows it in its `Debug` only.
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => Objection::CaUsedAsEndEntity,
            _ => Objection::Certificate,
        };
        Some(Tls { objection, cause: bad.to_string() })
    }
}

#[cfg(not(feature = "__tls"))]
mod tls {
    use super::StdError;
    use crate::error::problem::network::Tls;

    pub(super) fn explain(_: &(dyn StdError + 'static)) -> Option<Tls> {
        None
    }
}

/// The first `E` among an error and its causes.
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The first kind of I/O error that says anything: TLS wraps those of TCP in others.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut kinds = causes(error).filter_map(|cause| cause.downcast_ref()).map(io::Error::kind);
    kinds.find(|kind| *kind != io::ErrorKind::Other)
}

/// The text of the last cause, which is the one that the system or the library gave.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
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
    use crate::error::ErrorKind;
    use crate::error::problem::peer::Server;

    fn message(phase: Phase, kind: io::ErrorKind) -> String {
        let peer = Peer::new(Server::EksAgent, "http://169.254.170.23".to_owned(), None);
        let error = Failure::new(phase, io::Error::new(kind, "the system's words")).explain(&peer);
        assert_ne!(error.kind(), ErrorKind::InvalidResponse);
        error.to_string()
    }

    #[cfg(feature = "__tls")]
    #[test]
    fn objections_to_a_certificate_are_told_apart() {
        use rustls::CertificateError as Bad;

        use crate::error::problem::network::Objection;
        let webpki = rustls::OtherError(std::sync::Arc::new(io::Error::other("CaUsedAsEndEntity")));
        for (bad, objection) in [
            (Bad::Expired, Objection::Expired),
            (Bad::NotValidYet, Objection::NotValidYet),
            (Bad::NotValidForName, Objection::WrongName),
            (Bad::UnknownIssuer, Objection::UnknownIssuer),
            (Bad::Other(webpki), Objection::CaUsedAsEndEntity),
            (Bad::Revoked, Objection::Certificate),
        ] {
            let error = io::Error::other(rustls::Error::InvalidCertificate(bad));
            assert_eq!(tls::explain(&error).unwrap().objection, objection);
        }
        let protocol = io::Error::other(rustls::Error::HandshakeNotComplete);
        assert_eq!(tls::explain(&protocol).unwrap().objection, Objection::Protocol);
        assert!(tls::explain(&io::Error::other("not of TLS")).is_none());
    }

    #[test]
    fn io_errors_are_told_apart() {
        use io::ErrorKind as Io;
        for (phase, kind, expected) in [
            (Phase::Connect, Io::ConnectionRefused, "refused the connection"),
            (Phase::Connect, Io::TimedOut, "did not answer in time"),
            (Phase::Connect, Io::HostUnreachable, "there is no route to it (the system's words)"),
            (Phase::Connect, Io::NetworkUnreachable, "there is no route to it (the system's words)"),
            (Phase::Connect, Io::AddrNotAvailable, "there is no route to it (the system's words)"),
            (Phase::Connect, Io::PermissionDenied, "could not be reached (the system's words)"),
            (Phase::Exchange, Io::ConnectionReset, "reset the connection"),
            (Phase::Exchange, Io::ConnectionAborted, "reset the connection"),
            (Phase::Exchange, Io::BrokenPipe, "reset the connection"),
            (Phase::Exchange, Io::UnexpectedEof, "closed the connection before its answer was complete"),
        ] {
            let message = message(phase, kind);
            assert!(message.contains(expected), "{kind:?}: {message}");
        }
    }
}
