//! An https client that is built again in two cases: after a connect timeout, with a longer one, and after a TLS error, if the CA
//! bundle has changed.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::proxy::ThroughProxy;
use super::{BoxFuture, Client, HttpUrl, HttpsSettings, Reply, Transport};
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::peer::Peer;
use crate::error::{Error, ErrorKind};

/// Builds a client from the settings. It reads root certificates, so it must run on a blocking thread.
type Build = fn(&HttpsSettings) -> Result<Client, Error>;

#[derive(Debug)]
pub(super) struct Renewing {
    settings: HttpsSettings,
    url: HttpUrl,
    build: Build,
    current: Mutex<Built>,
}

#[derive(Clone, Debug)]
struct Built {
    client: Client,
    connect_timeout: Duration,
    /// The content of the CA bundle. `None` if no bundle is configured.
    bundle: Option<Vec<u8>>,
}

impl Built {
    /// Builds the client on a blocking thread, because reading certificates takes file I/O and milliseconds of CPU time.
    async fn new(settings: &HttpsSettings, url: &HttpUrl, build: Build) -> Result<Self, Error> {
        let owned = settings.clone();
        let built = tokio::task::spawn_blocking(move || {
            // Read before the client reads the file. If the file changes in between, the change is noticed later.
            let bundle = owned.ca_bundle.as_deref().map(contents);
            build(&owned).map(|client| (client, bundle))
        });
        let Ok(built) = built.await else {
            return Err(Error::internal(ErrorKind::Unavailable, "the thread that sets up TLS ended early"));
        };
        let (client, bundle) = built?;
        let client = match settings.proxy.clone() {
            Some(proxy) => ThroughProxy::around(client, proxy, url),
            None => client,
        };
        Ok(Self { client, connect_timeout: settings.connect.first, bundle })
    }
}

impl Renewing {
    /// Builds the client. The proxy in `settings` is the one to use for the server at `url`, if any.
    pub(super) async fn build(settings: HttpsSettings, url: HttpUrl, build: Build) -> Result<Client, Error> {
        let built = Built::new(&settings, &url, build).await?;
        Ok(Arc::new(Self { settings, url, build, current: Mutex::new(built) }))
    }

    fn current(&self) -> MutexGuard<'_, Built> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds the client again with twice the connect timeout, up to the limit.
    async fn double_connect_timeout(&self, connect_timeout: Duration) {
        let mut settings = self.settings.clone();
        settings.connect.first = connect_timeout.saturating_mul(2).min(settings.connect.longest);
        if settings.connect.first > connect_timeout
            && let Ok(built) = Built::new(&settings, &self.url, self.build).await
        {
            *self.current() = built;
        }
    }

    /// Builds the client again with the current CA bundle. `None` if the bundle has not changed or cannot be used.
    async fn with_changed_bundle(&self, used: &Built) -> Option<Client> {
        let mut settings = self.settings.clone();
        settings.connect.first = used.connect_timeout;
        let built = Built::new(&settings, &self.url, self.build).await.ok()?;
        let changed = built.bundle != used.bundle;
        let client = Arc::clone(&built.client);
        if changed {
            tracing::info!("the CA bundle has changed, the https client is built again");
            *self.current() = built;
        }
        changed.then_some(client)
    }
}

impl Transport for Renewing {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move {
            let built = self.current().clone();
            let outcome = built.client.send(request.clone(), peer).await;
            match outcome.as_ref().err().map(Error::problem) {
                Some(Problem::NoAnswer(failed)) if is_slow(failed) => {
                    self.double_connect_timeout(built.connect_timeout).await
                }
                Some(Problem::NoAnswer(failed)) if matches!(failed.what, What::Tls(_)) && built.bundle.is_some() => {
                    if let Some(client) = self.with_changed_bundle(&built).await {
                        return client.send(request, peer).await;
                    }
                }
                _ => {}
            }
            outcome
        })
    }
}

fn is_slow(failed: &NoAnswer) -> bool {
    failed.phase == Phase::Connect && matches!(failed.what, What::TimedOut(_))
}

/// The content of the CA bundle. It is not secret, so it is not wiped. Empty if the file cannot be read, and then building the
/// client fails too.
fn contents(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}
