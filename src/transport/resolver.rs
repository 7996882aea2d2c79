//! The host names of plain-http endpoints, resolved only to addresses that are allowed. The addresses that were checked are
//! the ones that are connected to, so a name cannot resolve differently between the check and the connection.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::error::ErrorKind;

/// Whether an address may be connected to; the error lists the addresses that may.
pub(crate) type Vet = fn(IpAddr) -> Result<(), &'static str>;

/// Every address of `host`, all of them allowed.
pub(super) async fn resolve(vet: Vet, host: &str) -> Result<Vec<IpAddr>, BadName> {
    let not_resolved = |cause| BadName::NotResolved { host: host.to_owned(), cause };
    let addresses = tokio::net::lookup_host((host, 0)).await.map_err(not_resolved)?;
    addresses.map(|address: SocketAddr| vetted(vet, host, address.ip())).collect()
}

/// `ip`, if it is allowed.
pub(super) fn vetted(vet: Vet, host: &str, ip: IpAddr) -> Result<IpAddr, BadName> {
    vet(ip).map_err(|allowed| BadName::NotAllowed { host: host.to_owned(), ip, allowed })?;
    Ok(ip)
}

/// A host name that could not be resolved, or that resolved to an address for which plain http is not allowed.
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
