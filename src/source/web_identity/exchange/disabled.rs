//! Replaces `exchange.rs` in builds without the feature `irsa`. Detection never chooses IRSA in these builds.

use std::time::Duration;

use crate::error::problem::peer::Peer;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::source::web_identity::WebIdentityConfig;
use crate::token_file::Token;
use crate::transport::{Client, HttpUrl, Reply, Timeouts};

#[derive(Debug)]
pub(crate) struct WebIdentity {
    config: WebIdentityConfig,
    peer: Peer,
}

impl WebIdentity {
    pub(crate) fn new(config: WebIdentityConfig, _: Option<Client>, _: Timeouts) -> Self {
        Self { peer: config.endpoint.peer(None), config }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        Duration::ZERO
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn role_arn(&self) -> &str {
        self.config.role_arn.as_str()
    }

    pub(crate) fn clear_text_endpoint(&self) -> Option<&HttpUrl> {
        None
    }

    pub(crate) async fn fetch(&self) -> Result<Fetched, Error> {
        Err(not_in_this_build())
    }

    pub(crate) async fn send(&self, _: &Token) -> Result<Reply, Error> {
        Err(not_in_this_build())
    }

    pub(crate) fn read(&self, _: &Reply, _: &Token) -> Result<Fetched, Error> {
        Err(not_in_this_build())
    }
}

fn not_in_this_build() -> Error {
    Error::internal(ErrorKind::InvalidConfiguration, "IRSA needs the feature `irsa` of eks-credentials")
}
