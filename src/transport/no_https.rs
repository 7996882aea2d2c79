//! Replaces `https_settings.rs` in builds without a client for https. The variables for https are not read.

use super::{Client, ConnectTimeout, HttpUrl};
use crate::env::Env;
use crate::error::Error;
use crate::error::problem::peer::{Peer, Server};
use crate::error::problem::setting::Setting;

/// The settings for plain http.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpsSettings {
    pub(crate) connect: ConnectTimeout,
}

impl HttpsSettings {
    #[expect(clippy::unnecessary_wraps, reason = "the interface of a build with https")]
    pub(crate) fn from_env(_: &Env) -> Result<Self, Setting> {
        Ok(Self::default())
    }

    #[expect(clippy::unused_async, reason = "the interface of a build with https")]
    pub(crate) async fn client(&self, _: Server, _: &HttpUrl) -> Result<Client, Error> {
        Err(Setting::NoHttpsClient.into())
    }

    #[expect(clippy::unused_self, reason = "the interface of a build with https")]
    pub(crate) fn route_to(&self, peer: Peer, _: &HttpUrl) -> Peer {
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn https_without_a_client_names_the_features() {
        let url = HttpUrl::parse("https://sts.example").unwrap();
        let settings = HttpsSettings::from_env(&Env::default()).unwrap();
        let error = settings.client(Server::Sts, &url).await.unwrap_err().to_string();
        assert!(error.contains("`reqwest-http-client`") && error.contains("`sdk-http-client`"), "{error}");
    }
}
