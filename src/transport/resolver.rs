//! Host names, resolved only to addresses that are allowed. The addresses that were checked are the ones that are connected
//! to, so a name cannot resolve differently between the check and the connection.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::causes::innermost;
use crate::error::problem::network::What;

/// Whether an address may be connected to; the error lists the addresses that may.
pub(crate) type Vet = fn(IpAddr) -> Result<(), &'static str>;

/// Every address of `host`, all of them allowed and at least one.
pub(super) async fn resolve(vet: Vet, host: &str) -> Result<Vec<IpAddr>, BadName> {
    let not_resolved = |cause| BadName::NotResolved { host: host.to_owned(), cause };
    let addresses = tokio::net::lookup_host((host, 0)).await.map_err(not_resolved)?;
    let vetted = addresses.map(|address: SocketAddr| vetted(vet, host, address.ip()));
    let addresses = vetted.collect::<Result<Vec<_>, _>>()?;
    match addresses.is_empty() {
        true => Err(not_resolved(io::Error::other("the name has no address"))),
        false => Ok(addresses),
    }
}

/// `ip`, if it is allowed.
pub(super) fn vetted(vet: Vet, host: &str, ip: IpAddr) -> Result<IpAddr, BadName> {
    vet(ip).map_err(|allowed| BadName::NotAllowed { host: host.to_owned(), ip, allowed })?;
    Ok(ip)
}

/// For https, where the certificate says who answers.
pub(super) async fn resolve_any(host: &str) -> Result<Vec<IpAddr>, BadName> {
    resolve(|_| Ok(()), host).await
}

/// A host name that could not be resolved, or that resolved to an address for which plain http is not allowed.
#[derive(Debug)]
pub(crate) enum BadName {
    NotResolved { host: String, cause: io::Error },
    NotAllowed { host: String, ip: IpAddr, allowed: &'static str },
}

impl BadName {
    pub(super) fn what(&self) -> What {
        match self {
            Self::NotResolved { host, cause } => What::NotResolved { host: host.clone(), cause: innermost(cause) },
            Self::NotAllowed { host, ip, allowed } => What::NotAllowed { host: host.clone(), ip: *ip, allowed },
        }
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotResolved { host, .. } => write!(f, "the host name \"{host}\" could not be resolved"),
            Self::NotAllowed { host, ip, .. } => write!(f, "the host name \"{host}\" resolves to {ip}"),
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
