//! This build has no client for https: what the environment says about it is not read.

use super::Client;
use crate::env::Env;
use crate::error::Error;

/// Nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpsSettings;

impl HttpsSettings {
    #[expect(clippy::unnecessary_wraps, reason = "the interface of a build with https")]
    pub(crate) fn from_env(_: &Env) -> Result<Self, Error> {
        Ok(Self)
    }

    #[expect(clippy::unused_async, reason = "the interface of a build with https")]
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        Err(Error::invalid(
            "https needs an HTTP client, and this build of eks-credentials has none: enable one of the features \
             `reqwest-http-client`, `sdk-http-client` and `rustls-ring`, or give an HTTP client to the builder",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn https_without_a_client_names_the_features() {
        let error = HttpsSettings::from_env(&Env::default()).unwrap().client().await.unwrap_err().to_string();
        assert!(error.contains("`reqwest-http-client`") && error.contains("`sdk-http-client`"), "{error}");
    }
}
