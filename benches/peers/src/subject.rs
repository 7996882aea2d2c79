//! What is compared, behind one trait: whoever is asked for credentials once per request.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use arc_swap::ArcSwap;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, ResolveCachedIdentity as _, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use clap::ValueEnum;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use reqsign_aws_v4::DefaultCredentialProvider;
use reqsign_core::{OsEnv, SignRequest, Signer};

/// Asked from many tasks at once.
pub(crate) trait Subject: Send + Sync + 'static {
    type Answer: Send;

    fn ask(&self) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// By name, for the command line and the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Name {
    Ours,
    Sdk,
    ObjectStore,
    Reqsign,
}

impl Name {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Sdk, Self::ObjectStore, Self::Reqsign];

    /// In tables and plots.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "eks-credentials",
            Self::Sdk => "aws-config, SDK cache",
            Self::ObjectStore => "object_store",
            Self::Reqsign => "reqsign",
        }
    }

    /// reqsign cannot be told of another STS, and object_store sends the token in the URL, which the stand-in refuses.
    pub(crate) fn can_ask_the_sts_stand_in(self) -> bool {
        matches!(self, Self::Ours | Self::Sdk)
    }

    /// How long before expiry it begins to refresh: 10 s (`IdentityCache::lazy`'s buffer time), 5 min (`TokenCache`),
    /// 2 min (`Credential::is_valid`). Ours is told to take the SDK's.
    fn window(self) -> Duration {
        Duration::from_secs(match self {
            Self::Ours | Self::Sdk => 10,
            Self::ObjectStore => 300,
            Self::Reqsign => 120,
        })
    }

    /// The lifetime with which its refresh is due `after` the fetch: so that all are put to the same test, at the same
    /// moment, in seconds instead of hours.
    pub(crate) fn lifetime_due(self, after: Duration) -> Duration {
        self.window() + after
    }
}

/// Configured by this process's environment, as a service would.
macro_rules! with_subject {
    ($name:expr, $run:expr) => {
        match $name {
            crate::subject::Name::Ours => $run(crate::subject::Ours::from_env()?).await,
            crate::subject::Name::Sdk => $run(crate::subject::Sdk::from_env().await?).await,
            crate::subject::Name::ObjectStore => $run(crate::subject::ObjectStore::from_env()?).await,
            crate::subject::Name::Reqsign => $run(crate::subject::Reqsign::from_env()).await,
        }
    };
}
pub(crate) use with_subject;

pub(crate) struct Ours(pub(crate) EksCredentialsProvider);

impl Ours {
    /// With the SDK's window instead of its own, so that it is due when the SDK is.
    pub(crate) fn from_env() -> Result<Self> {
        Ok(Self(EksCredentialsProvider::builder().advisory_window(Name::Ours.window()).build()?))
    }
}

impl Subject for Ours {
    type Answer = Credentials;

    async fn ask(&self) -> Result<Credentials> {
        Ok(self.0.provide_credentials().await?)
    }
}

/// What a generated client does for the credentials of each request: it asks its identity cache.
pub(crate) struct Cached {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: ConfigBag,
}

impl Cached {
    fn new(cache: SharedIdentityCache, provider: SharedCredentialsProvider) -> Result<Self> {
        let mut components = RuntimeComponentsBuilder::for_tests();
        components.set_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())));
        components.set_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())));
        Ok(Self {
            cache,
            resolver: SharedIdentityResolver::new(provider),
            components: components.build().map_err(|e| anyhow!("runtime components: {e}"))?,
            config: ConfigBag::base(),
        })
    }

    /// Ours: the provider's own cache.
    pub(crate) fn ours(provider: &EksCredentialsProvider) -> Result<Self> {
        let config = provider.sdk_config(BehaviorVersion::latest()).build();
        Self::new(config.identity_cache().context("no cache")?, config.credentials_provider().context("no provider")?)
    }
}

impl Subject for Cached {
    type Answer = Identity;

    async fn ask(&self) -> Result<Identity> {
        let asked = self.cache.resolve_cached_identity(self.resolver.clone(), &self.components, &self.config);
        asked.await.map_err(|e| anyhow!(e))
    }
}

/// The default chain of aws-config behind the cache that every SDK client has by default.
pub(crate) struct Sdk(Cached);

impl Sdk {
    pub(crate) async fn from_env() -> Result<Self> {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        let provider = config.credentials_provider().context("aws-config has no provider")?;
        Ok(Self(Cached::new(IdentityCache::lazy().build(), provider)?))
    }
}

impl Subject for Sdk {
    type Answer = Identity;

    fn ask(&self) -> impl Future<Output = Result<Identity>> + Send {
        self.0.ask()
    }
}

pub(crate) struct ObjectStore(AwsCredentialProvider);

impl ObjectStore {
    pub(crate) fn from_env() -> Result<Self> {
        let s3 = AmazonS3Builder::from_env().with_bucket_name("bucket").with_allow_http(true).build()?;
        Ok(Self(Arc::clone(s3.credentials())))
    }
}

impl Subject for ObjectStore {
    type Answer = Arc<AwsCredential>;

    async fn ask(&self) -> Result<Arc<AwsCredential>> {
        Ok(self.0.get_credential().await?)
    }
}

/// Its cache is inside its signer, so it is asked to sign, by a signer that does nothing.
pub(crate) struct Reqsign {
    signer: Signer<reqsign_aws_v4::Credential>,
    request: http::request::Parts,
}

impl Reqsign {
    pub(crate) fn from_env() -> Self {
        let context = reqsign_core::Context::new()
            .with_file_read(reqsign_file_read_tokio::TokioFileRead)
            .with_http_send(reqsign_http_send_reqwest::ReqwestHttpSend::default())
            .with_env(OsEnv);
        let (request, ()) = http::Request::new(()).into_parts();
        Self { signer: Signer::new(context, DefaultCredentialProvider::new(), SignsNothing), request }
    }
}

impl Subject for Reqsign {
    type Answer = ();

    async fn ask(&self) -> Result<()> {
        Ok(self.signer.sign(&mut self.request.clone(), None).await?)
    }
}

#[derive(Debug)]
struct SignsNothing;

impl SignRequest for SignsNothing {
    type Credential = reqsign_aws_v4::Credential;

    async fn sign_request(
        &self,
        _: &reqsign_core::Context,
        _: &mut http::request::Parts,
        _: Option<&Self::Credential>,
        _: Option<Duration>,
    ) -> reqsign_core::Result<()> {
        Ok(())
    }
}

/// The least that anybody must do who hands out credentials that another task replaces.
pub(crate) struct Floor(ArcSwap<(SystemTime, Credentials)>);

impl Floor {
    pub(crate) fn new(credentials: Credentials) -> Result<Self> {
        Ok(Self(ArcSwap::from_pointee((credentials.expiry().context("no expiry")?, credentials))))
    }
}

impl Subject for Floor {
    type Answer = Credentials;

    async fn ask(&self) -> Result<Credentials> {
        let current = self.0.load();
        anyhow::ensure!(SystemTime::now() < current.0);
        Ok(current.1.clone())
    }
}

/// The same, in the form that an SDK client demands of a provider.
pub(crate) struct ProvidedFloor(pub(crate) Arc<Floor>);

impl ProvideCredentials for ProvidedFloor {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let current = self.0.0.load();
        assert!(SystemTime::now() < current.0);
        future::ProvideCredentials::ready(Ok(current.1.clone()))
    }
}

impl fmt::Debug for ProvidedFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProvidedFloor")
    }
}

impl Subject for ProvidedFloor {
    type Answer = Credentials;

    async fn ask(&self) -> Result<Credentials> {
        Ok(self.provide_credentials().await?)
    }
}

/// Ours, asked by the function that neither waits nor fetches.
pub(crate) struct Peek(pub(crate) EksCredentialsProvider);

impl Subject for Peek {
    type Answer = Credentials;

    async fn ask(&self) -> Result<Credentials> {
        self.0.cached().context("nothing is cached")
    }
}
