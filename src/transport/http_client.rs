//! Sends requests with an HTTP client of the AWS SDK: the one given to the builder, or the one built by this crate.

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

/// A client that uses `connector`, whose connect timeout is known.
#[cfg(feature = "__sdk-http-client")]
pub(super) fn from_connector(connector: SharedHttpConnector, connect_timeout: Duration) -> Client {
    Arc::new(Connected { connector, connect_timeout: Some(connect_timeout) })
}

/// A client that creates a connector with `client` at the first request.
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
        // An error of hyper itself can only occur after the connection was established.
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

/// The client given to the builder. Its timeout errors do not say which limit was exceeded.
struct Given {
    client: SharedHttpClient,
    connected: OnceCell<Connected>,
}

impl Given {
    async fn connected(&self) -> Result<&Connected, Error> {
        let first = || async {
            let client = self.client.clone();
            // On a blocking thread, because the SDK's client reads root certificates here.
            let connector = tokio::task::spawn_blocking(move || connector_of(&client));
            let connector = connector.await.unwrap_or_else(|_| {
                let message = "the HTTP client given to the builder panicked while it created a connector";
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

/// Without the connector: the `Debug` output of a program's own client may contain secrets.
impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").finish_non_exhaustive()
    }
}

/// Without the client, for the same reason as in [`Connected`].
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}
