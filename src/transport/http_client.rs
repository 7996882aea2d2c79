//! Requests through an HTTP client of the AWS SDK: one that the program gives to the builder, or the one built here.

mod runtime_components;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::causes::find;
use super::failure::Failure;
use super::{BoxFuture, CONNECT_TIMEOUT, Client, Reply, Transport, reply};
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::problem::network::Phase;
use crate::error::problem::peer::Peer;

/// Sends through `connector`, whose connect timeout is known.
#[cfg(feature = "__sdk-http-client")]
pub(super) fn from_connector(connector: SharedHttpConnector, connect_timeout: Duration) -> Client {
    Arc::new(Connected { connector, connect_timeout: Some(connect_timeout) })
}

/// Sends through a connector of `client`, which is asked for one at the first request.
pub(crate) fn from_http_client(client: impl HttpClient + 'static) -> Client {
    Arc::new(Given { client: SharedHttpClient::new(client), connected: OnceCell::new() })
}

struct Connected {
    connector: SharedHttpConnector,
    connect_timeout: Option<Duration>,
}

impl Connected {
    async fn exchange(&self, request: http::Request<Bytes>, peer: &Peer) -> Result<Reply, Error> {
        let unusable = |error| Failure::new(Phase::Exchange, error).explain(peer);
        let request = HttpRequest::try_from(request.map(SdkBody::from)).map_err(unusable)?;
        let answer = self.connector.call(request).await.map_err(|error| self.failure(error).explain(peer))?;
        reply::read(answer.try_into_http1x().map_err(unusable)?, peer).await
    }

    fn failure(&self, error: ConnectorError) -> Failure {
        // hyper itself begins when there is a connection.
        let phase = if find::<hyper::Error>(&error).is_none() { Phase::Connect } else { Phase::Exchange };
        match error.is_timeout() {
            true => Failure::timeout(phase, self.connect_timeout, error),
            false => Failure::new(phase, error),
        }
    }
}

impl Transport for Connected {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(self.exchange(request, peer))
    }
}

/// A client that the program gave to the builder. Which of its limits a timeout was cannot be told.
struct Given {
    client: SharedHttpClient,
    connected: OnceCell<Connected>,
}

impl Given {
    async fn connected(&self) -> Result<&Connected, Error> {
        let first = || async {
            let client = self.client.clone();
            // The SDK's own client reads root certificates here.
            let connector = tokio::task::spawn_blocking(move || connector_of(&client));
            let connector = connector.await.unwrap_or_else(|_| {
                let message = "the HTTP client given to the builder panicked when it was asked for a connector";
                Err(Error::internal(ErrorKind::InvalidConfiguration, message))
            })?;
            Ok(Connected { connector, connect_timeout: None })
        };
        self.connected.get_or_try_init(first).await
    }
}

fn connector_of(client: &SharedHttpClient) -> Result<SharedHttpConnector, Error> {
    let components = runtime_components::minimal()?;
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    Ok(client.http_connector(&settings, &components))
}

impl Transport for Given {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move { self.connected().await?.exchange(request, peer).await })
    }
}

/// A client of the program's own may show anything in its `Debug`.
impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").finish_non_exhaustive()
    }
}

/// As [`Connected`].
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}
