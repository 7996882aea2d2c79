//! The host names of plain-http endpoints, resolved only to addresses that pass. What is returned is what is dialled, so a
//! name cannot answer differently between the check and the connection.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;

use crate::error::ErrorKind;
use crate::refresh::BoxFuture;

/// Whether an address may be dialled; the error says which may.
pub(crate) type Vet = fn(IpAddr) -> Result<(), &'static str>;

#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    pub(super) vet: Vet,
}

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BadName;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let vet = self.vet;
        Box::pin(async move {
            let host = || name.to_string();
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<_> = addresses.map_err(|cause| BadName::NotResolved { host: host(), cause })?.collect();
            for ip in addresses.iter().map(SocketAddr::ip) {
                vet(ip).map_err(|allowed| BadName::NotAllowed { host: host(), ip, allowed })?;
            }
            Ok(addresses.into_iter())
        })
    }
}

/// A host name that led to nothing, or to an address that plain http must not be spoken to.
#[derive(Debug)]
pub(crate) enum BadName {
    NotResolved { host: String, cause: io::Error },
    NotAllowed { host: String, ip: IpAddr, allowed: &'static str },
}

impl BadName {
    /// What a name server does not know now, it may know later.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotResolved { .. } => ErrorKind::Unavailable,
            Self::NotAllowed { .. } => ErrorKind::InvalidConfiguration,
        }
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotResolved { host, .. } => {
                write!(f, "the host \"{host}\" could not be resolved; check its spelling and the pod's DNS")
            }
            Self::NotAllowed { host, ip, allowed } => {
                write!(f, "the host \"{host}\" resolves to {ip}, but plain http is only for {allowed}; use https")
            }
        }
    }
}

impl StdError for BadName {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotResolved { cause, .. } => Some(cause),
            Self::NotAllowed { .. } => None,
        }
    }
}
