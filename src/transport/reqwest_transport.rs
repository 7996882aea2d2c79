//! Sends requests with a reqwest client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect;

use super::causes::innermost;
use super::failure::Failure;
use super::{BoxFuture, Client, Reply, Transport, reply};
use crate::error::Error;
use crate::error::problem::network::Phase;
use crate::error::problem::peer::Peer;
use crate::error::problem::setting::Setting;

/// Builds a client with these settings that follows no redirects and keeps no idle connections. `connect_timeout` is the
/// builder's connect timeout, if it is known.
///
/// # Errors
///
/// If reqwest cannot build the client, for example because no root certificates can be loaded.
pub(super) fn from_builder(
    builder: reqwest::ClientBuilder,
    connect_timeout: Option<Duration>,
) -> Result<Client, Error> {
    let builder = builder.redirect(redirect::Policy::none()).referer(false).pool_max_idle_per_host(0);
    match builder.build() {
        Ok(client) => Ok(Arc::new(Reqwest { client, connect_timeout })),
        Err(error) => {
            let observed = format!("the reqwest client could not be built ({})", innermost(&error));
            let remedy = "if no root certificates could be loaded, install ca-certificates in the image or set AWS_CA_BUNDLE; \
                          otherwise correct the settings given to reqwest_0_13(..)";
            Err(Error::caused_by(Setting::Other { observed, remedy: remedy.to_owned() }, error))
        }
    }
}

/// Builds a client with the settings given to the builder of the provider.
pub(crate) fn from_reqwest_0_13(builder: reqwest::ClientBuilder) -> Result<Client, Error> {
    from_builder(builder, None)
}

#[derive(Debug)]
struct Reqwest {
    client: reqwest::Client,
    connect_timeout: Option<Duration>,
}

impl Reqwest {
    /// Removes the URL from reqwest's error, because it may contain a secret.
    fn failure(&self, error: reqwest::Error) -> Failure {
        let phase = if error.is_connect() { Phase::Connect } else { Phase::Exchange };
        let timed_out = error.is_timeout();
        let error = error.without_url();
        if timed_out { Failure::timeout(phase, self.connect_timeout, error) } else { Failure::new(phase, error) }
    }
}

impl Transport for Reqwest {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move {
            let request = request.try_into().map_err(|error| self.failure(error).explain(peer))?;
            let answer = self.client.execute(request).await.map_err(|error| self.failure(error).explain(peer))?;
            let answer: http::Response<reqwest::Body> = answer.into();
            reply::read(answer, peer).await
        })
    }
}
