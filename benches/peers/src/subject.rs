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
use clap::ValueEnum;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use reqsign_aws_v4::DefaultCredentialProvider;
use reqsign_core::{OsEnv, SignRequest, Signer};

/// Many tasks call it at the same time.
pub(crate) trait Subject: Send + Sync + 'static {
    type Output: AccessKey + Send;

    fn call(&self) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// What a subject returns, in any type.
pub(crate) trait AccessKey {
    fn access_key_id(&self) -> &str;
}

impl AccessKey for Credentials {
    fn access_key_id(&self) -> &str {
        self.access_key_id()
    }
}

impl AccessKey for Identity {
    fn access_key_id(&self) -> &str {
        self.data::<Credentials>().map_or("", Credentials::access_key_id)
    }
}

impl AccessKey for Arc<AwsCredential> {
    fn access_key_id(&self) -> &str {
        &self.key_id
    }
}

/// The signer of reqsign does not return the credentials. `SignsNothing` writes the key into a header.
impl AccessKey for http::HeaderMap {
    fn access_key_id(&self) -> &str {
        self.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default()
    }
}

const KEY: &str = "x-access-key-id";

/// The name of a subject on the command line and in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Name {
    Ours,
    Sdk,
    ObjectStore,
    ObjectStoreAws,
    ObjectStoreOurs,
    Reqsign,
    ReqsignOurs,
}

impl Name {
    /// The subjects with providers of their own.
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Sdk, Self::ObjectStore, Self::Reqsign];

    /// Also the storage libraries with the providers of this crate and of object_store_aws.
    pub(crate) const WITH_ADAPTERS: [Self; 7] = [
        Self::Ours,
        Self::Sdk,
        Self::ObjectStore,
        Self::ObjectStoreAws,
        Self::ObjectStoreOurs,
        Self::Reqsign,
        Self::ReqsignOurs,
    ];

    /// The name in tables and plots.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "eks-credentials",
            Self::Sdk => "aws-config, SDK cache",
            Self::ObjectStore => "object_store",
            Self::ObjectStoreAws => "object_store with object_store_aws",
            Self::ObjectStoreOurs => "object_store with eks-credentials",
            Self::Reqsign => "reqsign",
            Self::ReqsignOurs => "reqsign with eks-credentials",
        }
    }

    /// reqsign cannot be configured with another STS endpoint. object_store sends the token in the URL, which the stand-in
    /// refuses.
    pub(crate) fn supports_the_sts_stand_in(self) -> bool {
        !matches!(self, Self::ObjectStore | Self::Reqsign)
    }

    /// How long before expiry it begins to refresh: 10 s (the buffer time of `IdentityCache::lazy`), 5 min (`TokenCache`),
    /// 2 min (`Credential::is_valid`). This crate is configured with the value of the SDK.
    fn window(self) -> Duration {
        Duration::from_secs(match self {
            Self::Ours | Self::Sdk | Self::ObjectStoreOurs => 10,
            // object_store_aws refreshes after the expiry.
            Self::ObjectStoreAws => 0,
            Self::ObjectStore => 300,
            Self::Reqsign | Self::ReqsignOurs => 120,
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
            crate::subject::Name::ObjectStoreAws => {
                $run(crate::subject::ObjectStore::with_object_store_aws().await?).await
            }
            crate::subject::Name::ObjectStoreOurs => $run(crate::subject::ObjectStore::with_ours()?).await,
            crate::subject::Name::Reqsign => $run(crate::subject::Reqsign::from_env()).await,
            crate::subject::Name::ReqsignOurs => $run(crate::subject::Reqsign::with_ours()?).await,
        }
    };
}
pub(crate) use with_subject;

pub(crate) struct Ours(pub(crate) EksCredentialsProvider);

impl Ours {
    /// Uses the refresh window of the SDK, so that its refresh is due at the same time.
    pub(crate) fn from_env() -> Result<Self> {
        Ok(Self(EksCredentialsProvider::builder().advisory_window(Name::Ours.window()).build()?))
    }
}

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
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        let provider = config.credentials_provider().context("aws-config has no provider")?;
        Ok(Self(Cached::new(IdentityCache::lazy().build(), provider)?))
    }
}

impl Subject for Sdk {
    type Output = Identity;

    fn call(&self) -> impl Future<Output = Result<Identity>> + Send {
        self.0.call()
    }
}

pub(crate) struct ObjectStore(AwsCredentialProvider);

impl ObjectStore {
    pub(crate) fn from_env() -> Result<Self> {
        let s3 = AmazonS3Builder::from_env().with_bucket_name("bucket").with_allow_http(true).build()?;
        Ok(Self(Arc::clone(s3.credentials())))
    }

    pub(crate) async fn with_object_store_aws() -> Result<Self> {
        Ok(Self(Arc::new(object_store_aws::init(None).await?)))
    }

    pub(crate) fn with_ours() -> Result<Self> {
        Ok(Self(Ours::from_env()?.0.object_store_0_14()))
    }
}

impl Subject for ObjectStore {
    type Output = Arc<AwsCredential>;

    async fn call(&self) -> Result<Arc<AwsCredential>> {
        Ok(self.0.get_credential().await?)
    }
}

/// The cache of reqsign is part of its signer. This one signs with an implementation that only writes down the access key.
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
        Self::new(Signer::new(context, DefaultCredentialProvider::new(), SignsNothing))
    }

    pub(crate) fn with_ours() -> Result<Self> {
        let provider = Ours::from_env()?.0.reqsign_3();
        Ok(Self::new(Signer::new(reqsign_core::Context::new(), provider, SignsNothing)))
    }

    fn new(signer: Signer<reqsign_aws_v4::Credential>) -> Self {
        let (request, ()) = http::Request::new(()).into_parts();
        Self { signer, request }
    }
}

impl Subject for Reqsign {
    type Output = http::HeaderMap;

    async fn call(&self) -> Result<http::HeaderMap> {
        let mut request = self.request.clone();
        self.signer.sign(&mut request, None).await?;
        Ok(request.headers)
    }
}

#[derive(Debug)]
struct SignsNothing;

impl SignRequest for SignsNothing {
    type Credential = reqsign_aws_v4::Credential;

    async fn sign_request(
        &self,
        _: &reqsign_core::Context,
        request: &mut http::request::Parts,
        credential: Option<&Self::Credential>,
        _: Option<Duration>,
    ) -> reqsign_core::Result<()> {
        let key = credential.and_then(|credential| http::HeaderValue::from_str(&credential.access_key_id).ok());
        request.headers.extend(key.map(|key| (http::HeaderName::from_static(KEY), key)));
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
