//! An identity cache for the SDK that returns the provider's current identity, without a lock, without a wait during a refresh,
//! and without building an identity for each request.
//!
//! One cache serves all identity resolvers of a client. It tells them apart by their partitions, but a partition does not show
//! which resolver it belongs to: a setter that wraps the provider again creates a new partition. A partition therefore counts as
//! the provider's own in two cases:
//!
//! - [`sdk_config`](crate::EksCredentialsProvider::sdk_config) created it.
//! - Its resolver has returned the provider's current credentials. This applies only until they are replaced. It keeps the SDK's
//!   own contract: within a partition, an identity may be reused until it is replaced.
//!
//! All other resolvers use the SDK's lazy cache.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_credential_types::Credentials;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityCachePartition, IdentityFuture, ResolveCachedIdentity, ResolveIdentity as _, SharedIdentityCache,
    SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;

use crate::provider::EksCredentialsProvider;
use crate::refresh::cache::Current;

/// The same limit as in the SDK's lazy cache. Only a program that creates a partition for each operation reaches it.
const MAX_KNOWN: usize = 64;

impl EksCredentialsProvider {
    /// Returns an identity cache for SDK clients that use this provider.
    ///
    /// Set it in the configuration of the client, together with the provider. A request then reads the current identity without a
    /// lock and does not wait during a refresh. With the SDK's default cache, requests wait for every refresh. Other identity
    /// resolvers of the same client are cached as by the SDK.
    ///
    /// The configuration of [`sdk_config`](Self::sdk_config) already contains such a cache.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// use aws_sdk_s3::config::Region;
    ///
    /// # let provider = EksCredentialsProvider::builder().env([("PATH", "/bin")]).build()?;
    /// let config = aws_sdk_s3::Config::builder()
    ///     .behavior_version(BehaviorVersion::latest())
    ///     .region(Region::new("eu-central-1"))
    ///     .credentials_provider(provider.clone())
    ///     .identity_cache(provider.identity_cache())
    ///     .build();
    /// let s3 = aws_sdk_s3::Client::from_conf(config);
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn identity_cache(&self) -> SharedIdentityCache {
        SharedIdentityCache::new(EksIdentityCache::new(self.clone(), None))
    }
}

/// The cache that [the module](self) describes.
pub(crate) struct EksIdentityCache {
    provider: EksCredentialsProvider,
    /// The partition that `sdk_config` created.
    own: Option<IdentityCachePartition>,
    /// Partitions whose resolver has returned credentials of the provider, with the generation of these credentials.
    known: ArcSwap<Vec<Known>>,
    others: ArcSwap<SharedIdentityCache>,
}

#[derive(Clone, Copy)]
struct Known {
    partition: IdentityCachePartition,
    generation: u64,
}

impl EksIdentityCache {
    pub(crate) fn new(provider: EksCredentialsProvider, own: Option<IdentityCachePartition>) -> Self {
        Self { provider, own, known: ArcSwap::default(), others: ArcSwap::from_pointee(lazy()) }
    }

    /// The current identity, if it may be used at once. With a `generation`, only if the current credentials are of that
    /// generation.
    fn hit(&self, generation: Option<u64>) -> Option<IdentityFuture<'static>> {
        let entry = self.provider.core().servable()?;
        let is_wanted = |current: &&Current| generation.is_none_or(|generation| generation == current.generation);
        let current = entry.current.as_ref().filter(is_wanted)?;
        Some(IdentityFuture::ready(Ok(current.identity.clone())))
    }

    /// Handles an identity that a service has refused. For `ResolveCachedIdentity::invalidate`, when the trait has this method
    /// (<https://github.com/smithy-lang/smithy-rs/pull/4766>).
    #[cfg_attr(not(all(test, feature = "irsa")), expect(dead_code, reason = "the trait does not have it yet"))]
    pub(crate) fn invalidate(&self, identity: &Identity) {
        let refused = identity.data::<Credentials>();
        let is_current = |current: &Current| refused.is_some_and(|refused| refused == &current.credentials);
        match refused {
            Some(refused) if self.provider.core().cache.load().current.as_ref().is_some_and(is_current) => {
                self.provider.invalidate(refused);
            }
            // It may be in the lazy cache.
            _ => self.others.store(Arc::new(lazy())),
        }
    }

    fn known(&self, partition: IdentityCachePartition) -> Option<u64> {
        self.known.load().iter().find(|known| known.partition == partition).map(|known| known.generation)
    }

    /// Records whether the resolver of the partition has returned credentials of the provider.
    fn learn(&self, partition: IdentityCachePartition, identity: &Identity) {
        let generation_of =
            |current: &Current| (identity.data() == Some(&current.credentials)).then_some(current.generation);
        // Expired credentials that are served in an outage count as well.
        let generation = self.provider.core().cache.load().current.as_ref().and_then(generation_of);
        if generation == self.known(partition) {
            return;
        }
        if generation.is_none() {
            // The lazy cache may still contain an identity of the provider for this partition, from the time before the partition
            // was known.
            self.others.store(Arc::new(lazy()));
        }
        self.known.rcu(|known| {
            let others = known.iter().filter(|known| known.partition != partition);
            let added = generation.map(|generation| Known { partition, generation });
            let mut known: Vec<Known> = others.copied().chain(added).collect();
            let surplus = known.len().saturating_sub(MAX_KNOWN);
            known.drain(..surplus);
            known
        });
    }
}

/// The SDK's default cache.
fn lazy() -> SharedIdentityCache {
    IdentityCache::lazy().build()
}

impl ResolveCachedIdentity for EksIdentityCache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        config: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let partition = resolver.cache_partition();
        if self.own == Some(partition) {
            return self.hit(None).unwrap_or_else(|| {
                IdentityFuture::new(async {
                    self.provider.core().get(|current| current.identity.clone()).await.map_err(BoxError::from)
                })
            });
        }
        let known = self.known(partition);
        if let Some(identity) = known.and_then(|generation| self.hit(Some(generation))) {
            return identity;
        }
        IdentityFuture::new(async move {
            let identity = match known {
                // The resolver probably returns the provider's credentials again, which is cheap. The lazy cache would keep older
                // ones.
                Some(_) => resolver.resolve_identity(components, config).await,
                None => self.others.load_full().resolve_cached_identity(resolver, components, config).await,
            }?;
            self.learn(partition, &identity);
            Ok(identity)
        })
    }

    // The lazy cache has the same requirements, but its shared handle does not forward these methods.

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        _: &ConfigBag,
    ) -> Result<(), BoxError> {
        validate(components.time_source().is_some(), components.sleep_impl().is_some())
    }

    fn validate_final_config(&self, components: &RuntimeComponents, _: &ConfigBag) -> Result<(), BoxError> {
        validate(components.time_source().is_some(), components.sleep_impl().is_some())
    }
}

fn validate(time_source: bool, sleep_impl: bool) -> Result<(), BoxError> {
    match (time_source, sleep_impl) {
        (true, true) => Ok(()),
        (false, _) => Err("identity caching needs a time source: set `time_source` on the SDK config".into()),
        (_, false) => Err("identity caching needs an async sleep: set `sleep_impl` on the SDK config".into()),
    }
}

impl fmt::Debug for EksIdentityCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EksIdentityCache").field("provider", &self.provider).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "irsa")]
mod tests {
    use super::*;
    use crate::testing::LocalPod;

    #[tokio::test]
    async fn invalidate_renews_current_identity_and_drops_others() {
        let pod = LocalPod::start().await.unwrap();
        let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build().unwrap();
        let cache = EksIdentityCache::new(provider.clone(), None);
        let others = cache.others.load_full();
        let first = provider.credentials().await.unwrap();

        cache.invalidate(&first.clone().into());
        let second = provider.credentials().await.unwrap();
        assert_ne!(second.access_key_id(), first.access_key_id());
        assert!(Arc::ptr_eq(&others, &cache.others.load_full()));

        // Older credentials and those of another provider do not invalidate the current ones.
        let stranger = Credentials::new("key", "secret", None, None, "test");
        for identity in [first.into(), stranger.into(), Identity::new((), None)] {
            let others = cache.others.load_full();
            cache.invalidate(&identity);
            assert!(!Arc::ptr_eq(&others, &cache.others.load_full()));
        }
        assert_eq!(provider.credentials().await.unwrap(), second);
        assert_eq!(pod.sts().requests(), 2);
    }
}
