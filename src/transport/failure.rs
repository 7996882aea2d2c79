//! Converts the error of an HTTP client to a [`NoAnswer`], which explains why there is no complete response.

#[cfg(not(feature = "__tls"))]
#[path = "failure/no_tls.rs"]
mod tls;
#[cfg(feature = "__tls")]
mod tls;

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::BoxError;
use super::causes::{find, innermost, io_kind};
use super::resolver::BadName;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::peer::Peer;

/// The error of an HTTP client.
#[derive(Debug)]
pub(super) struct Failure {
    phase: Phase,
    /// `Some` if a timeout of the client expired. The inner value is the limit, if it is known.
    timeout: Option<Option<Duration>>,
    error: BoxError,
}

impl Failure {
    pub(super) fn new(phase: Phase, error: impl Into<BoxError>) -> Self {
        Self { phase, timeout: None, error: error.into() }
    }

    /// A timeout of the client expired. `connect_timeout` is its connect timeout, if it is known.
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
            // A reset during sending appears as one of the last two.
            (Some(Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe), _) => What::Reset,
            (Some(Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable), _) => {
                What::NoRoute { cause: innermost(cause) }
            }
            _ if self.phase == Phase::Connect => What::NotConnected { cause: innermost(cause) },
            _ => What::Closed,
        }
    }
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
    fn failure_distinguishes_objections_to_a_certificate() {
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
    fn failure_distinguishes_io_errors() {
        use io::ErrorKind as Io;
        for (phase, kind, expected) in [
            (Phase::Connect, Io::ConnectionRefused, "refused the connection"),
            (Phase::Connect, Io::TimedOut, "did not respond in time"),
            (Phase::Connect, Io::HostUnreachable, "there is no route to it (the system's words)"),
            (Phase::Connect, Io::NetworkUnreachable, "there is no route to it (the system's words)"),
            (Phase::Connect, Io::AddrNotAvailable, "there is no route to it (the system's words)"),
            (Phase::Connect, Io::PermissionDenied, "could not be reached (the system's words)"),
            (Phase::Exchange, Io::ConnectionReset, "reset the connection"),
            (Phase::Exchange, Io::ConnectionAborted, "reset the connection"),
            (Phase::Exchange, Io::BrokenPipe, "reset the connection"),
            (Phase::Exchange, Io::UnexpectedEof, "closed the connection before the response was complete"),
        ] {
            let message = message(phase, kind);
            assert!(message.contains(expected), "{kind:?}: {message}");
        }
    }
}
