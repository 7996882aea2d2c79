//! The compared crates, behind one trait: a program calls them for credentials once for each request.

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
use bytes::Bytes;
use clap::ValueEnum;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use object_store::ClientOptions;
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use reqsign_aws_v4::{Credential, DefaultCredentialProvider};
use reqsign_core::{HttpSend, OsEnv, ProvideCredential, SignRequest, Signer};

/// Many tasks call it at the same time.
pub(crate) trait Subject: Send + Sync + 'static {
    type Output: Send;

    fn call(&self) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// The name of a subject on the command line and in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Name {
    Ours,
    Sdk,
    ObjectStore,
    ObjectStoreOurs,
    ObjectStoreAws,
    Reqsign,
    ReqsignOurs,
}

impl Name {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ours,
        Self::Sdk,
        Self::ObjectStore,
        Self::ObjectStoreOurs,
        Self::ObjectStoreAws,
        Self::Reqsign,
        Self::ReqsignOurs,
    ];

    /// Each library with its own provider. The plots show these.
    pub(crate) const OWN: [Self; 4] = [Self::Ours, Self::Sdk, Self::ObjectStore, Self::Reqsign];

    /// The name in tables and plots.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "eks-credentials",
            Self::Sdk => "aws-config, SDK cache",
            Self::ObjectStore => "object_store, own provider",
            Self::ObjectStoreOurs => "object_store, this crate's adapter",
            Self::ObjectStoreAws => "object_store, object_store_aws",
            Self::Reqsign => "reqsign, own provider",
            Self::ReqsignOurs => "reqsign, this crate's adapter",
        }
    }

    /// reqsign cannot be configured with another STS endpoint. object_store sends the token in the URL, which the stand-in
    /// refuses.
    pub(crate) fn supports_the_sts_stand_in(self) -> bool {
        !matches!(self, Self::ObjectStore | Self::Reqsign)
    }

    /// How long before expiry it begins to refresh: 10 s (the buffer time of `IdentityCache::lazy`), 5 min (`TokenCache`),
    /// 2 min (`Credential::is_valid`), 0 s (object_store_aws). This crate is configured with the value of the SDK. With reqsign
    /// it has 20 s, because reqsign refuses credentials in their last 10 s.
    fn window(self) -> Duration {
        Duration::from_secs(match self {
            Self::Ours | Self::Sdk | Self::ObjectStoreOurs => 10,
            Self::ReqsignOurs => 20,
            Self::ObjectStoreAws => 0,
            Self::ObjectStore => 300,
            Self::Reqsign => 120,
        })
    }

    /// The lifetime with which a refresh is due `after` the fetch. So all subjects refresh at the same time, within seconds
    /// instead of hours.
    pub(crate) fn lifetime_due(self, after: Duration) -> Duration {
        self.window() + after
    }
}

/// Configures the subject from the environment of the process, as a service does.
macro_rules! with_subject {
    ($name:expr, $run:expr) => {
        match $name {
            crate::subject::Name::Ours => $run(crate::subject::Ours::from_env()?).await,
            crate::subject::Name::Sdk => $run(crate::subject::Sdk::from_env().await?).await,
            crate::subject::Name::ObjectStore => $run(crate::subject::ObjectStore::from_env()?).await,
            crate::subject::Name::ObjectStoreOurs => $run(crate::subject::ObjectStore::ours()?).await,
            crate::subject::Name::ObjectStoreAws => $run(crate::subject::ObjectStore::aws().await?).await,
            crate::subject::Name::Reqsign => $run(crate::subject::Reqsign::from_env()).await,
            crate::subject::Name::ReqsignOurs => $run(crate::subject::Reqsign::ours()?).await,
        }
    };
}
pub(crate) use with_subject;

/// Passes a function that configures the subject, for scenarios in which that may fail or has to be repeated.
macro_rules! with_builder {
    ($name:expr, $run:expr) => {
        match $name {
            crate::subject::Name::Ours => $run(|| async { crate::subject::Ours::from_env() }).await,
            crate::subject::Name::Sdk => $run(crate::subject::Sdk::from_env).await,
            crate::subject::Name::ObjectStore => $run(|| async { crate::subject::ObjectStore::from_env() }).await,
            crate::subject::Name::ObjectStoreOurs => $run(|| async { crate::subject::ObjectStore::ours() }).await,
            crate::subject::Name::ObjectStoreAws => $run(crate::subject::ObjectStore::aws).await,
            crate::subject::Name::Reqsign => $run(|| async { Ok(crate::subject::Reqsign::from_env()) }).await,
            crate::subject::Name::ReqsignOurs => $run(|| async { crate::subject::Reqsign::ours() }).await,
        }
    };
}
pub(crate) use with_builder;

pub(crate) struct Ours(pub(crate) EksCredentialsProvider);

impl Ours {
    /// Uses the refresh window of the SDK, so that its refresh is due at the same time.
    pub(crate) fn from_env() -> Result<Self> {
        Ok(Self(provider(Name::Ours)?))
    }
}

/// This crate's provider for a subject. Scenarios in which only new credentials count set `NO_EXPIRED`.
fn provider(name: Name) -> Result<EksCredentialsProvider> {
    let expired = std::env::var_os(NO_EXPIRED).is_none();
    Ok(EksCredentialsProvider::builder().advisory_window(name.window()).serve_expired(expired).build()?)
}

/// If it is set, this crate does not serve expired credentials in an outage. None of the others does.
pub(crate) const NO_EXPIRED: &str = "PEERS_NO_EXPIRED";

impl Subject for Ours {
    type Output = Credentials;

    async fn call(&self) -> Result<Credentials> {
        Ok(self.0.provide_credentials().await?)
    }
}

/// Gets the credentials as a generated client does for each request: from its identity cache.
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

    /// The identity cache of this crate.
    pub(crate) fn ours(provider: &EksCredentialsProvider) -> Result<Self> {
        let config = provider.sdk_config(BehaviorVersion::latest()).build();
        Self::new(config.identity_cache().context("no cache")?, config.credentials_provider().context("no provider")?)
    }
}

impl Subject for Cached {
    type Output = Identity;

    async fn call(&self) -> Result<Identity> {
        let identity = self.cache.resolve_cached_identity(self.resolver.clone(), &self.components, &self.config);
        identity.await.map_err(|e| anyhow!(e))
    }
}

/// The default chain of aws-config, with the identity cache that every SDK client has by default.
pub(crate) struct Sdk(Cached);

impl Sdk {
    pub(crate) async fn from_env() -> Result<Self> {
        Self::new(&aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await)
    }

    /// What a client with this configuration uses: clients share the cache of their `SdkConfig`.
    pub(crate) fn new(config: &aws_config::SdkConfig) -> Result<Self> {
        let provider = config.credentials_provider().context("aws-config has no provider")?;
        Ok(Self(Cached::new(config.identity_cache().unwrap_or_else(|| IdentityCache::lazy().build()), provider)?))
    }
}

impl Subject for Sdk {
    type Output = Identity;

    fn call(&self) -> impl Future<Output = Result<Identity>> + Send {
        self.0.call()
    }
}

/// A store of object_store, with the credential provider that it has or gets.
pub(crate) struct ObjectStore(AwsCredentialProvider);

impl ObjectStore {
    pub(crate) fn from_env() -> Result<Self> {
        Self::build(AmazonS3Builder::from_env())
    }

    /// With this crate's adapter.
    pub(crate) fn ours() -> Result<Self> {
        Self::with(provider(Name::ObjectStoreOurs)?.object_store_0_14())
    }

    /// With the credentials of `object_store_aws`, which fetches while it is built.
    pub(crate) async fn aws() -> Result<Self> {
        Self::with(Arc::new(object_store_aws::init(None).await.map_err(|e| anyhow!("{e:?}"))?))
    }

    /// A store with the credentials of another one.
    pub(crate) fn with(credentials: AwsCredentialProvider) -> Result<Self> {
        Self::build(AmazonS3Builder::from_env().with_credentials(credentials))
    }

    pub(crate) fn credentials(&self) -> AwsCredentialProvider {
        Arc::clone(&self.0)
    }

    fn build(builder: AmazonS3Builder) -> Result<Self> {
        let builder = builder.with_bucket_name("bucket").with_allow_http(true).with_http_connector(PlainHttp);
        Ok(Self(Arc::clone(builder.build()?.credentials())))
    }
}

/// object_store allows only https for STS. The stand-in has plain http.
#[derive(Debug)]
struct PlainHttp;

impl HttpConnector for PlainHttp {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        ReqwestConnector::default().connect(&options.clone().with_allow_http(true))
    }
}

impl Subject for ObjectStore {
    type Output = Arc<AwsCredential>;

    async fn call(&self) -> Result<Arc<AwsCredential>> {
        Ok(self.0.get_credential().await?)
    }
}

/// The cache of reqsign is part of its signer. This one signs with an implementation that does nothing.
#[derive(Clone)]
pub(crate) struct Reqsign {
    signer: Signer<Credential>,
    request: http::request::Parts,
}

impl Reqsign {
    pub(crate) fn from_env() -> Self {
        Self::with(DefaultCredentialProvider::new())
    }

    /// With this crate's adapter.
    pub(crate) fn ours() -> Result<Self> {
        Ok(Self::with(provider(Name::ReqsignOurs)?.reqsign_3()))
    }

    pub(crate) fn with(provider: impl ProvideCredential<Credential = Credential>) -> Self {
        let context = reqsign_core::Context::new()
            .with_file_read(reqsign_file_read_tokio::TokioFileRead)
            .with_http_send(ToStandIns(reqsign_http_send_reqwest::ReqwestHttpSend::default()))
            .with_env(OsEnv);
        let (request, ()) = http::Request::new(()).into_parts();
        Self { signer: Signer::new(context, provider, SignsNothing), request }
    }
}

/// Sends requests for STS and IMDS, whose addresses cannot be configured in reqsign, to the stand-ins in the environment.
#[derive(Debug)]
struct ToStandIns(reqsign_http_send_reqwest::ReqwestHttpSend);

impl HttpSend for ToStandIns {
    async fn http_send(&self, mut request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let stand_in = match request.uri().host() {
            Some("169.254.169.254") => std::env::var("AWS_EC2_METADATA_SERVICE_ENDPOINT").ok(),
            Some(host) if host.starts_with("sts.") => std::env::var("AWS_ENDPOINT_URL_STS").ok(),
            _ => None,
        };
        if let Some(stand_in) = stand_in {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let uri = format!("{}{path}", stand_in.trim_end_matches('/'));
            *request.uri_mut() = uri.parse().expect("the address of a stand-in is a URL");
            request.headers_mut().remove(http::header::HOST);
        }
        self.0.http_send(request).await
    }
}

impl Subject for Reqsign {
    type Output = ();

    async fn call(&self) -> Result<()> {
        Ok(self.signer.sign(&mut self.request.clone(), None).await?)
    }
}

#[derive(Debug)]
struct SignsNothing;

impl SignRequest for SignsNothing {
    type Credential = Credential;

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

/// The minimum for any provider that returns credentials which another task replaces.
pub(crate) struct Floor(ArcSwap<(SystemTime, Credentials)>);

impl Floor {
    pub(crate) fn new(credentials: Credentials) -> Result<Self> {
        Ok(Self(ArcSwap::from_pointee((credentials.expiry().context("no expiry")?, credentials))))
    }
}

impl Subject for Floor {
    type Output = Credentials;

    async fn call(&self) -> Result<Credentials> {
        let current = self.0.load();
        anyhow::ensure!(SystemTime::now() < current.0);
        Ok(current.1.clone())
    }
}

/// The same, with the trait that an SDK client requires of a provider.
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
    type Output = Credentials;

    async fn call(&self) -> Result<Credentials> {
        Ok(self.provide_credentials().await?)
    }
}

/// This crate, by the function that neither waits nor fetches.
pub(crate) struct Peek(pub(crate) EksCredentialsProvider);

impl Subject for Peek {
    type Output = Credentials;

    async fn call(&self) -> Result<Credentials> {
        self.0.cached().context("nothing is cached")
    }
}
