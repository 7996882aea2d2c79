//! If the agent cannot be reached at the configured address, checks whether it listens at its other address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{Finding, FindingId};
use crate::error::Error;
use crate::error::problem::Problem;
use crate::source::SourceConfig;
use crate::transport::HttpUrl;

/// The agent runs on the same node and accepts a connection within microseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The finding for a failed fetch.
pub(super) async fn finding(config: &SourceConfig, error: &Error) -> Finding {
    match config {
        SourceConfig::WebIdentity(_) => Finding::of(error),
        SourceConfig::PodIdentity(config) => agent(config.endpoint.url(), error).await,
    }
}

async fn agent(url: &HttpUrl, error: &Error) -> Finding {
    let finding = Finding::of(error);
    if !matches!(error.problem(), Problem::NoAnswer(_)) {
        return finding;
    }
    match other_address(url) {
        Some((configured, other)) if listens(other).await => {
            let observed = format!("{}, but a server listens at {other}", finding.observed);
            let remedy = "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from the container's env: the EKS webhook then \
                          sets the URI of this cluster";
            let family = Finding::new(FindingId::AgentFamily, observed).remedy(remedy);
            Finding { cause: finding.cause, ..family.expected(format!("a response from {configured}")) }
        }
        _ => finding,
    }
}

/// The configured address, and the address of the same agent in the other address family.
fn other_address(url: &HttpUrl) -> Option<(SocketAddr, SocketAddr)> {
    const PAIRS: [(IpAddr, IpAddr); 2] = [
        (IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23))),
        (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    let configured = url.host().address()?;
    let other = PAIRS.into_iter().find_map(|(v4, v6)| match configured {
        _ if configured == v4 => Some(v6),
        _ if configured == v6 => Some(v4),
        _ => None,
    })?;
    let port = url.port();
    Some(((configured, port).into(), (other, port).into()))
}

async fn listens(address: SocketAddr) -> bool {
    matches!(tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect(address)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_address_is_in_the_other_address_family() {
        for (url, expected) in [
            ("http://169.254.170.23/v1/credentials", Some(("169.254.170.23:80", "[fd00:ec2::23]:80"))),
            ("http://[fd00:ec2::23]/v1/credentials", Some(("[fd00:ec2::23]:80", "169.254.170.23:80"))),
            ("http://127.0.0.1:81/", Some(("127.0.0.1:81", "[::1]:81"))),
            ("http://[::1]:81/", Some(("[::1]:81", "127.0.0.1:81"))),
            ("http://169.254.170.2/", None),
            ("http://localhost/", None),
        ] {
            let expected = expected.map(|(one, other)| (one.parse().unwrap(), other.parse().unwrap()));
            assert_eq!(other_address(&HttpUrl::parse(url).unwrap()), expected, "{url}");
        }
    }
}
