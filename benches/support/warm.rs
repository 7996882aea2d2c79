//! A provider that has credentials for hours, and the floor beside it: the least that anybody must do who hands out
//! credentials that another task replaces, an `ArcSwap` load, a look at the clock, a clone.

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

/// Everything that is asked, warm.
pub struct Warm {
    pub provider: EksCredentialsProvider,
    pub floor: Floor,
    pub identities: Identities,
    _pod: LocalPod,
}

impl Warm {
    /// Of Pod Identity: six hours, so that nothing is refreshed meanwhile.
    pub async fn start() -> Self {
        let pod = LocalPod::start().await.expect("a local pod");
        let provider = EksCredentialsProvider::builder().env(pod.pod_identity_env()).build().expect("a provider");
        let credentials = provider.credentials().await.expect("credentials");
        let identities = Identities::new(&provider.sdk_config(BehaviorVersion::latest()).build());
        Self { floor: Floor::new(credentials), identities, provider, _pod: pod }
    }
}

/// The floor, in the form that `ProvideCredentials` demands.
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

/// What an SDK client does for the credentials of each request: it asks its identity cache.
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

    pub fn ask(&self) -> IdentityFuture<'_> {
        self.cache.resolve_cached_identity(self.resolver.clone(), &self.components, &self.config)
    }
}
