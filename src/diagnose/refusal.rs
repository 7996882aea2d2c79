//! What a failed fetch was: which of the findings a transport error or an answer amounts to.

#[cfg(feature = "pod-identity")]
use std::io;
#[cfg(feature = "pod-identity")]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "pod-identity")]
use std::time::Duration;

use super::{Finding, FindingId, remedies, token};
use crate::detect::SourceConfig;
use crate::error::{Error, ErrorKind};
use crate::token_file::Token;
#[cfg(feature = "pod-identity")]
use crate::transport;
#[cfg(feature = "pod-identity")]
use crate::transport::HttpUrl;

/// How long the agent's other address is looked at: on the same node it answers in microseconds.
#[cfg(feature = "pod-identity")]
const LOOK: Duration = Duration::from_secs(1);

/// The usual slip, which neither STS nor EKS Auth can know of.
const DEFAULT_ACCOUNT: &str = "this pod runs as the service account default: is spec.serviceAccountName missing?";

/// No complete answer.
pub(super) async fn of_transport(config: &SourceConfig, error: &Error) -> Finding {
    let id = match (config, error.kind()) {
        (_, ErrorKind::InvalidConfiguration) => FindingId::Config,
        #[cfg(feature = "irsa")]
        (SourceConfig::WebIdentity(_), kind) => match kind {
            ErrorKind::InvalidResponse => FindingId::StsForeign,
            ErrorKind::Timeout => FindingId::StsTimeout,
            _ if is_tls(error) => FindingId::StsTls,
            _ => FindingId::StsUnreachable,
        },
        #[cfg(feature = "pod-identity")]
        (SourceConfig::PodIdentity(_), ErrorKind::InvalidResponse) => FindingId::AgentForeign,
        #[cfg(feature = "pod-identity")]
        (SourceConfig::PodIdentity(agent), kind) => {
            if let Some((asked, other)) = other_address(agent.endpoint.url())
                && answers(other).await
            {
                let observed = format!("{error}; at {other} something listens");
                return Finding::new(FindingId::AgentFamily, observed).expected(format!("an answer at {asked}"));
            }
            match kind {
                ErrorKind::Timeout => FindingId::AgentTimeout,
                _ if transport::io_kind(error) == Some(io::ErrorKind::ConnectionRefused) => FindingId::AgentRefused,
                _ => FindingId::AgentUnreachable,
            }
        }
    };
    Finding::new(id, error.to_string()).expected(match id {
        FindingId::Config => "a setting that can work",
        _ => "a complete answer in time",
    })
}

#[cfg(all(feature = "irsa", feature = "__tls"))]
use crate::transport::is_tls;

#[cfg(all(feature = "irsa", not(feature = "__tls")))]
fn is_tls(_: &Error) -> bool {
    false
}

/// The same agent by the other family of addresses.
#[cfg(feature = "pod-identity")]
fn other_address(url: &HttpUrl) -> Option<(SocketAddr, SocketAddr)> {
    const PAIRS: [(IpAddr, IpAddr); 2] = [
        (IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23))),
        (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    let asked = url.host().address()?;
    let other = PAIRS.into_iter().find_map(|(v4, v6)| match asked {
        _ if asked == v4 => Some(v6),
        _ if asked == v6 => Some(v4),
        _ => None,
    })?;
    let port = url.port();
    Some(((asked, port).into(), (other, port).into()))
}

#[cfg(feature = "pod-identity")]
async fn answers(address: SocketAddr) -> bool {
    matches!(tokio::time::timeout(LOOK, tokio::net::TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// A complete answer without credentials.
pub(super) fn of_answer(config: &SourceConfig, error: &Error, sent: Option<&Token>) -> Finding {
    match config {
        #[cfg(feature = "irsa")]
        SourceConfig::WebIdentity(config) => of_sts(config.role_arn.as_str(), error, sent),
        #[cfg(feature = "pod-identity")]
        SourceConfig::PodIdentity(config) => of_agent(config.endpoint.url(), error, sent),
    }
}

#[cfg(feature = "irsa")]
fn of_sts(role_arn: &str, error: &Error, sent: Option<&Token>) -> Finding {
    let claims = sent.and_then(Token::claims).unwrap_or_default();
    let message = error.to_string();
    let default_audience = claims.aud.split(',').any(|aud| aud == token::audience_of(crate::SourceKind::WebIdentity));
    let id = match (error.kind(), error.code()) {
        (ErrorKind::Denied, Some("AccessDenied")) if default_audience => FindingId::TrustSub,
        (ErrorKind::Denied, Some("AccessDenied")) => FindingId::TrustAud,
        (ErrorKind::Denied, Some("InvalidIdentityToken")) if message.contains("Incorrect token audience") => {
            FindingId::TrustAud
        }
        (ErrorKind::Denied, Some("InvalidIdentityToken")) => FindingId::OidcProvider,
        (ErrorKind::Denied, Some("RegionDisabledException")) => FindingId::StsRegion,
        (ErrorKind::Denied, Some(_)) => FindingId::StsRefused,
        (ErrorKind::TokenRejected, _) => FindingId::TokenRejected,
        (ErrorKind::Throttled, _) => FindingId::StsThrottled,
        (ErrorKind::Unavailable, Some("InvalidIdentityToken" | "IDPCommunicationError")) => {
            FindingId::IssuerUnreachable
        }
        (ErrorKind::Unavailable, _) => FindingId::StsFailing,
        _ => FindingId::StsForeign,
    };
    let finding = Finding::new(id, message);
    match id {
        FindingId::TrustSub => finding
            .expected("a statement in the trust policy that matches this token")
            .also(token::service_account(&claims).filter(|(_, name)| *name == "default").map(|_| DEFAULT_ACCOUNT))
            .snippet(remedies::web_identity_trust(role_arn, &claims)),
        FindingId::TrustAud => finding
            .expected("an audience that the OIDC provider and the trust policy name")
            .snippet(remedies::audience(role_arn, &claims)),
        FindingId::OidcProvider => finding
            .expected("an IAM OIDC provider for this issuer in the role's account")
            .snippet(remedies::oidc_provider(&claims)),
        FindingId::StsForeign => finding.expected("an answer of STS, in XML"),
        _ => finding.expected("credentials"),
    }
}

#[cfg(feature = "pod-identity")]
fn of_agent(url: &HttpUrl, error: &Error, sent: Option<&Token>) -> Finding {
    let claims = sent.and_then(Token::claims).unwrap_or_default();
    let message = error.to_string();
    let id = match (error.kind(), error.code()) {
        (ErrorKind::Denied, Some("AccessDeniedException")) => FindingId::AssociationDenied,
        (ErrorKind::Denied, Some("ResourceNotFoundException")) => FindingId::AssociationNone,
        (ErrorKind::Denied, Some("InvalidParameterException" | "InvalidRequestException")) => {
            FindingId::AssociationInvalid
        }
        (ErrorKind::Denied, Some(_)) => FindingId::EksAuthRefused,
        (ErrorKind::Denied, None) if message.contains("Service account token") => FindingId::TokenRejected,
        (ErrorKind::TokenRejected, _) => FindingId::TokenRejected,
        (ErrorKind::InvalidConfiguration, _)
            if url.path() != "/v1/credentials" || message.contains("invalid address") =>
        {
            FindingId::AgentPath
        }
        (ErrorKind::Throttled, _) => FindingId::AgentThrottled,
        (ErrorKind::Unavailable, _) => FindingId::AgentFailing,
        _ => FindingId::AgentForeign,
    };
    let finding = Finding::new(id, message);
    match id {
        FindingId::AssociationNone | FindingId::AssociationInvalid => finding
            .expected("an association of this service account with a role")
            .also(token::service_account(&claims).filter(|(_, name)| *name == "default").map(|_| DEFAULT_ACCOUNT))
            .snippet(remedies::association(&claims)),
        FindingId::AssociationDenied => {
            finding.expected("a role that trusts pods.eks.amazonaws.com").snippet(remedies::pod_identity_trust(&claims))
        }
        FindingId::AgentPath => finding.expected("http://169.254.170.23/v1/credentials"),
        FindingId::AgentForeign => finding.expected("an answer of the EKS Pod Identity agent, in JSON"),
        _ => finding.expected("credentials"),
    }
}
