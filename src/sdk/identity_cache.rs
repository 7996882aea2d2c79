//! The SDK's identity cache, answered from the provider's own: no lock, no waiting at a refresh, nothing built per
//! request.
//!
//! One cache serves every identity resolver of a client, told apart by partition, and a partition says nothing of what
//! is behind it: a setter that wraps the provider anew gives it a new one. So a partition is ours if we made it
//! ([`sdk_config`](crate::EksCredentialsProvider::sdk_config)), or after its resolver has answered with the credentials
//! that the provider holds now, and only for as long as it holds them. That is the SDK's own contract: within a partition
//! an identity may be used again until it is replaced. Every other resolver gets the SDK's lazy cache.

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

/// As many as the SDK's lazy cache keeps: a program has a handful, unless it makes one per operation.
const MAX_KNOWN: usize = 64;

impl EksCredentialsProvider {
    /// An identity cache for SDK clients whose credentials come from this provider: give it to the config next to the
    /// provider. A request then reads the current identity without a lock, instead of waiting at every refresh as with
    /// the SDK's default cache. Resolvers other than this provider on the same client are cached as the SDK does it.
    ///
    /// [`sdk_config`](Self::sdk_config) already has one.
    pub fn identity_cache(&self) -> SharedIdentityCache {
        SharedIdentityCache::new(EksIdentityCache::new(self.clone(), None))
    }
}

/// See the module.
pub(crate) struct EksIdentityCache {
    provider: EksCredentialsProvider,
    /// The partition of our own resolver, if we made it.
    own: Option<IdentityCachePartition>,
    /// Partitions whose resolver has answered with the provider's credentials, and with which of them.
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

    /// The prebuilt identity, if it may be used at once and, for a partition of somebody else's making, if it is the
    /// one that its resolver has answered with.
    fn hit(&self, generation: Option<u64>) -> Option<IdentityFuture<'static>> {
        let entry = self.provider.core().servable()?;
        let held =
            entry.current.as_ref().filter(|held| generation.is_none_or(|generation| generation == held.generation))?;
        Some(IdentityFuture::ready(Ok(held.identity.clone())))
    }

    /// A service has refused this identity. What `ResolveCachedIdentity::invalidate` is to do once the trait has it
    /// (<https://github.com/smithy-lang/smithy-rs/pull/4766>).
    #[cfg_attr(not(all(test, feature = "irsa")), expect(dead_code, reason = "the trait does not have it yet"))]
    pub(crate) fn invalidate(&self, identity: &Identity) {
        let refused = identity.data::<Credentials>();
        let ours = |held: &Current| refused.is_some_and(|refused| refused == &held.credentials);
        match refused {
            Some(refused) if self.provider.core().cache.load().current.as_ref().is_some_and(ours) => {
                self.provider.invalidate(refused);
            }
            // The lazy cache may hold it.
            _ => self.others.store(Arc::new(lazy())),
        }
    }

    fn known(&self, partition: IdentityCachePartition) -> Option<u64> {
        self.known.load().iter().find(|known| known.partition == partition).map(|known| known.generation)
    }

    /// Notes whether the partition's resolver has answered with the provider's own credentials.
    fn learn(&self, partition: IdentityCachePartition, identity: &Identity) {
        let ours = |held: &Current| (identity.data() == Some(&held.credentials)).then_some(held.generation);
        // Whether or not they may be used at once: also credentials that an outage makes the provider serve are its own.
        let generation = self.provider.core().cache.load().current.as_ref().and_then(ours);
        if generation == self.known(partition) {
            return;
        }
        if generation.is_none() {
            // From before it became known, the lazy cache may still hold one of ours for this partition.
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

/// The SDK's default.
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
                    self.provider.core().get(|held| held.identity.clone()).await.map_err(BoxError::from)
                })
            });
        }
        let known = self.known(partition);
        if let Some(identity) = known.and_then(|generation| self.hit(Some(generation))) {
            return identity;
        }
        IdentityFuture::new(async move {
            let identity = match known {
                // It was ours: then asking it costs next to nothing, and another cache must not get in between.
                Some(_) => resolver.resolve_identity(components, config).await,
                None => self.others.load_full().resolve_cached_identity(resolver, components, config).await,
            }?;
            self.learn(partition, &identity);
            Ok(identity)
        })
    }

    // The lazy cache's own demands: it is behind a shared handle that does not pass them on.

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
    async fn invalidate_renews_our_current_identity_and_forgets_those_of_others() {
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
