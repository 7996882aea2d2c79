//! The two credential sources, and the choice between them.
//!
//! | file | duty |
//! |---|---|
//! | `settings.rs` | the builder's settings for the sources |
//! | `web_identity.rs` | IRSA: its configuration and its requests to STS |
//! | `pod_identity.rs` | EKS Pod Identity and other container credentials: their configuration and requests |
//! | `found.rs` | whether one source is configured |
//! | `detect.rs`, `detection.rs` | the choice of a source, and its public description |
//! | `sources.rs` | the chosen source and its fallback, as the refresh task uses them |
//! | `keys.rs`, `token_retry.rs` | code that both sources use |

pub(crate) mod detect;
pub(crate) mod detection;
pub(crate) mod found;
mod keys;
pub(crate) mod pod_identity;
pub(crate) mod settings;
mod sources;
mod token_retry;
pub(crate) mod web_identity;

use std::time::Duration;

use self::pod_identity::{PodIdentity, PodIdentityConfig};
pub(crate) use self::sources::Sources;
use self::web_identity::{WebIdentity, WebIdentityConfig};
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::peer::Peer;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::source_kind::SourceKind;
use crate::token_file::{Token, TokenSource};
use crate::transport::{Client, HttpUrl, Reply, Timeouts};

/// The complete configuration of one source.
#[derive(Clone, Debug)]
pub(crate) enum SourceConfig {
    WebIdentity(Box<WebIdentityConfig>),
    PodIdentity(Box<PodIdentityConfig>),
}

impl SourceConfig {
    pub(crate) fn kind(&self) -> SourceKind {
        match self {
            Self::WebIdentity(_) => SourceKind::WebIdentity,
            Self::PodIdentity(_) => SourceKind::PodIdentity,
        }
    }

    /// Where the token comes from. `None` if the source sends no token.
    pub(crate) fn tokens(&self) -> Option<TokenSource> {
        match self {
            Self::WebIdentity(config) => Some(config.tokens()),
            Self::PodIdentity(config) => config.tokens(),
        }
    }

    /// The configured role. `None` for Pod Identity: its role is set in the association.
    pub(crate) fn role_arn(&self) -> Option<&str> {
        match self {
            Self::WebIdentity(config) => Some(config.role_arn.as_str()),
            Self::PodIdentity(_) => None,
        }
    }
}

/// One configured source.
#[derive(Debug)]
pub(crate) enum Source {
    WebIdentity(Box<WebIdentity>),
    PodIdentity(Box<PodIdentity>),
}

impl Source {
    /// `sts_client` is the HTTP client given to the builder. It is only used for STS.
    pub(crate) fn new(config: SourceConfig, sts_client: Option<Client>, timeouts: Timeouts) -> Self {
        match config {
            SourceConfig::WebIdentity(config) => {
                Self::WebIdentity(Box::new(WebIdentity::new(*config, sts_client, timeouts)))
            }
            SourceConfig::PodIdentity(config) => Self::PodIdentity(Box::new(PodIdentity::new(*config, timeouts))),
        }
    }

    pub(crate) fn kind(&self) -> SourceKind {
        match self {
            Self::WebIdentity(_) => SourceKind::WebIdentity,
            Self::PodIdentity(_) => SourceKind::PodIdentity,
        }
    }

    /// The endpoint, if the token is sent to it over the network in clear text. `None` for Pod Identity: plain http is only
    /// allowed to addresses on this node.
    pub(crate) fn clear_text_endpoint(&self) -> Option<&HttpUrl> {
        match self {
            Self::WebIdentity(source) => source.clear_text_endpoint(),
            Self::PodIdentity(_) => None,
        }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        match self {
            Self::WebIdentity(source) => source.attempt_timeout(),
            Self::PodIdentity(source) => source.attempt_timeout(),
        }
    }

    /// The configured role. `None` for Pod Identity: its role is set in the association.
    pub(crate) fn role_arn(&self) -> Option<&str> {
        match self {
            Self::WebIdentity(source) => Some(source.role_arn()),
            Self::PodIdentity(_) => None,
        }
    }

    /// Makes one attempt. `limit` covers everything from reading the token file to the last byte of the response.
    pub(crate) async fn fetch(&self, limit: Duration) -> Result<Fetched, Error> {
        let attempt = async {
            match self {
                Self::WebIdentity(source) => source.fetch().await,
                Self::PodIdentity(source) => source.fetch().await,
            }
        };
        match tokio::time::timeout(limit, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out(limit)),
        }
    }

    /// Sends one request with this token and returns the response, whatever its status. There is no time limit.
    pub(crate) async fn send(&self, token: Option<&Token>) -> Result<Reply, Error> {
        match self {
            Self::WebIdentity(source) => source.send(token.ok_or_else(no_token)?).await,
            Self::PodIdentity(source) => source.send(token).await,
        }
    }

    /// Parses the complete response to a request with this token.
    pub(crate) fn read(&self, reply: &Reply, token: Option<&Token>) -> Result<Fetched, Error> {
        match self {
            Self::WebIdentity(source) => source.read(reply, token.ok_or_else(no_token)?),
            Self::PodIdentity(source) => source.read(reply, token),
        }
    }

    pub(crate) fn peer(&self) -> &Peer {
        match self {
            Self::WebIdentity(source) => source.peer(),
            Self::PodIdentity(source) => source.peer(),
        }
    }

    pub(crate) fn timed_out(&self, limit: Duration) -> Error {
        let (peer, phase, what) = (self.peer().clone(), Phase::Exchange, What::TimedOut(Some(limit)));
        Problem::NoAnswer(Box::new(NoAnswer { peer, phase, what })).into()
    }
}

fn no_token() -> Error {
    Error::internal(ErrorKind::TokenFile, "STS cannot be called without a token")
}
