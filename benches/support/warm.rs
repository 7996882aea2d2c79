//! A provider whose credentials are valid for hours, and the *floor*: the minimum for any provider that returns
//! credentials which another task replaces. It loads an `ArcSwap`, reads the clock and clones the credentials.

#![allow(unreachable_pub, clippy::expect_used, reason = "shared by a test, a benchmark and a package of its own")]

use std::time::SystemTime;

use arc_swap::ArcSwap;
use aws_credential_types::Credentials;
use aws_credential_types::provider::future;
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity as _, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use eks_credentials::testing::LocalPod;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};

/// All subjects, after their first fetch.
pub struct Warm {
    pub provider: EksCredentialsProvider,
    pub floor: Floor,
    pub identities: Identities,
    _pod: LocalPod,
}

impl Warm {
    /// Credentials of Pod Identity last six hours, so no refresh happens during a benchmark.
    pub async fn start() -> Self {
        let pod = LocalPod::start().await.expect("a local pod");
        let provider = EksCredentialsProvider::builder().env(pod.pod_identity_env()).build().expect("a provider");
        let credentials = provider.credentials().await.expect("credentials");
        let identities = Identities::new(&provider.sdk_config(BehaviorVersion::latest()).build());
        Self { floor: Floor::new(credentials), identities, provider, _pod: pod }
    }
}

/// The floor, with the future that the trait `ProvideCredentials` requires.
pub struct Floor(ArcSwap<(SystemTime, Credentials)>);

impl Floor {
    fn new(credentials: Credentials) -> Self {
        Self(ArcSwap::from_pointee((credentials.expiry().expect("an expiry"), credentials)))
    }

    #[allow(clippy::disallowed_methods, reason = "the floor reads the clock itself")]
    pub fn provide_credentials(&self) -> future::ProvideCredentials<'_> {
        let current = self.0.load();
        assert!(SystemTime::now() < current.0);
        future::ProvideCredentials::ready(Ok(current.1.clone()))
    }
}

/// Gets the credentials as an SDK client does for each request: from its identity cache.
pub struct Identities {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: ConfigBag,
}

impl Identities {
    fn new(config: &SdkConfig) -> Self {
        Self {
            cache: config.identity_cache().expect("an identity cache"),
            resolver: SharedIdentityResolver::new(config.credentials_provider().expect("a provider")),
            components: RuntimeComponentsBuilder::for_tests().build().expect("components"),
            config: ConfigBag::base(),
        }
    }

    pub fn resolve(&self) -> IdentityFuture<'_> {
        self.cache.resolve_cached_identity(self.resolver.clone(), &self.components, &self.config)
    }
}
