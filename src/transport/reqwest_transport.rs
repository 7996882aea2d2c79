//! Requests through a reqwest client.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::redirect;

use super::failure::{Failure, Phase};
use super::{BoxFuture, Client, Peer, Reply, Transport, reply};
use crate::error::{Error, ErrorKind};

/// A client with these settings that follows no redirects and keeps no idle connections.
///
/// # Errors
///
/// If reqwest cannot build it: for example, no root certificates can be loaded.
pub(crate) fn from_builder(builder: reqwest::ClientBuilder) -> Result<Client, Error> {
    let builder = builder.redirect(redirect::Policy::none()).referer(false).pool_max_idle_per_host(0);
    match builder.build() {
        Ok(client) => Ok(Arc::new(Reqwest(client))),
        Err(error) => Err(Error::caused_by(
            ErrorKind::InvalidConfiguration,
            "the reqwest client for STS could not be built",
            error,
        )),
    }
}

#[derive(Debug)]
struct Reqwest(reqwest::Client);

impl Transport for Reqwest {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move {
            let request = request.try_into().map_err(|error| failure(error).explain(peer))?;
            let answer = self.0.execute(request).await.map_err(|error| failure(error).explain(peer))?;
            let answer: http::Response<reqwest::Body> = answer.into();
            reply::read(answer, peer).await
        })
    }
}

/// A URL may hold a secret, so reqwest's errors are shown without it.
fn failure(error: reqwest::Error) -> Failure {
    let phase = if error.is_connect() { Phase::Connect } else { Phase::Exchange };
    let timed_out = error.is_timeout();
    let error = error.without_url();
    if timed_out { Failure::timeout(phase, error) } else { Failure::new(phase, error) }
}
