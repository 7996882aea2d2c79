//! Resolves host names and checks that their addresses are allowed. The client connects to the checked addresses and does not
//! resolve the name again, so a changed DNS response cannot bypass the check (DNS rebinding).

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::causes::innermost;
use crate::error::problem::network::What;

/// Checks whether the client may connect to an address. The error lists the allowed addresses.
pub(crate) type AddressCheck = fn(IpAddr) -> Result<(), &'static str>;

/// Resolves `host`. It must have at least one address, and all its addresses must be allowed.
pub(super) async fn resolve(check: AddressCheck, host: &str) -> Result<Vec<IpAddr>, BadName> {
    let not_resolved = |cause| BadName::NotResolved { host: host.to_owned(), cause };
    let addresses = tokio::net::lookup_host((host, 0)).await.map_err(not_resolved)?;
    let addresses = addresses.map(|address: SocketAddr| checked(check, host, address.ip()));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    match addresses.is_empty() {
        true => Err(not_resolved(io::Error::other("the name has no address"))),
        false => Ok(addresses),
    }
}

/// Returns `ip` if it is allowed.
pub(super) fn checked(check: AddressCheck, host: &str, ip: IpAddr) -> Result<IpAddr, BadName> {
    check(ip).map_err(|allowed| BadName::NotAllowed { host: host.to_owned(), ip, allowed })?;
    Ok(ip)
}

/// Resolves `host` without a check. For https, where the certificate authenticates the server.
pub(super) async fn resolve_any(host: &str) -> Result<Vec<IpAddr>, BadName> {
    resolve(|_| Ok(()), host).await
}

/// A host name could not be resolved, or has an address for which plain http is not allowed.
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
