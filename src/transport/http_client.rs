//! Requests through an HTTP client of the AWS SDK: one that the program gives to the builder, or the one built here.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector as _, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::failure::{Failure, Phase, find};
use super::{BoxFuture, CONNECT_TIMEOUT, Client, Peer, Reply, Transport, reply, runtime_components};
use crate::error::{Error, ErrorKind};

/// Sends through `connector`.
#[cfg(feature = "__sdk-http-client")]
pub(super) fn from_connector(connector: SharedHttpConnector) -> Client {
    Arc::new(SdkTransport { connector: OnceCell::new_with(Some(connector)), client: None })
}

/// Sends through a connector of `client`, which is asked for one at the first request.
#[cfg(feature = "irsa")]
pub(crate) fn from_http_client(client: impl HttpClient + 'static) -> Client {
    Arc::new(SdkTransport { connector: OnceCell::new(), client: Some(SharedHttpClient::new(client)) })
}

struct SdkTransport {
    connector: OnceCell<SharedHttpConnector>,
    client: Option<SharedHttpClient>,
}

impl SdkTransport {
    async fn connector(&self) -> Result<&SharedHttpConnector, Error> {
        let first = || async {
            let Some(client) = self.client.clone() else {
                return Err(Error::invalid("there is no HTTP client for STS"));
            };
            // The SDK's own client reads root certificates here.
            let connector = tokio::task::spawn_blocking(move || connector_of(&client));
            connector.await.unwrap_or_else(|join| {
                let message = "the HTTP client given to the builder could not make a connector";
                Err(Error::caused_by(ErrorKind::InvalidConfiguration, message, join))
            })
        };
        self.connector.get_or_try_init(first).await
    }
}

fn connector_of(client: &SharedHttpClient) -> Result<SharedHttpConnector, Error> {
    let components = runtime_components::minimal()?;
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    Ok(client.http_connector(&settings, &components))
}

impl Transport for SdkTransport {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move {
            let unusable = |error| Failure::new(Phase::Exchange, error).explain(peer);
            let request = HttpRequest::try_from(request.map(SdkBody::from)).map_err(unusable)?;
            let answer = self.connector().await?.call(request).await.map_err(|error| failure(error).explain(peer))?;
            reply::read(answer.try_into_http1x().map_err(unusable)?, peer).await
        })
    }
}

fn failure(error: ConnectorError) -> Failure {
    // hyper itself begins when there is a connection.
    let phase = if find::<hyper::Error>(&error).is_none() { Phase::Connect } else { Phase::Exchange };
    if error.is_timeout() { Failure::timeout(phase, error) } else { Failure::new(phase, error) }
}

/// A client of the program's own may show anything in its `Debug`.
impl fmt::Debug for SdkTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkTransport").finish_non_exhaustive()
    }
}
