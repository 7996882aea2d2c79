//! A service client's configuration from this crate alone, without aws-config.

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::identity::{ResolveIdentity as _, SharedIdentityCache};
use aws_types::region::Region;
use aws_types::sdk_config::Builder;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::env::{self, Env};
use crate::identity_cache::EksIdentityCache;
use crate::provider::EksCredentialsProvider;
use crate::region;

impl EksCredentialsProvider {
    /// What a generated SDK client needs, as a builder for more settings: this provider, its identity cache, the region
    /// ([`Builder::region`](crate::Builder::region), `AWS_REGION`, `AWS_DEFAULT_REGION`), and from the environment
    /// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`
    /// (the last two unless `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`).
    ///
    /// ```no_run
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider, Error};
    /// # fn main() -> Result<(), Error> {
    /// let provider = EksCredentialsProvider::from_env()?;
    /// let s3 = aws_sdk_s3::Client::new(&provider.sdk_config(BehaviorVersion::latest()).build());
    /// # Ok(()) }
    /// ```
    ///
    /// A value that is not usable (a flag that is neither `true` nor `false`, say) counts as unset here and is logged at
    /// WARN.
    pub fn sdk_config(&self, behavior_version: BehaviorVersion) -> Builder {
        let shared = SharedCredentialsProvider::new(self.clone());
        let cache = EksIdentityCache::new(self.clone(), shared.cache_partition());
        let SdkSettings { env, region } = self.sdk_settings();
        let mut builder = aws_types::SdkConfig::builder();
        builder
            .set_behavior_version(Some(behavior_version))
            .set_credentials_provider(Some(shared))
            .set_identity_cache(Some(SharedIdentityCache::new(cache)))
            .set_region(or_warn(region::region(env, region.as_deref())).map(Region::new))
            .set_use_fips(flag(env, env::USE_FIPS))
            .set_use_dual_stack(flag(env, env::USE_DUALSTACK));
        if flag(env, env::IGNORE_ENDPOINT_URLS) != Some(true) {
            builder
                .set_endpoint_url(or_warn(env.get(env::ENDPOINT_URL)).map(str::to_owned))
                .set_service_config(Some(ServiceEndpoints(env.clone())));
        }
        builder
    }
}

/// What the SDK's configuration is made of, besides the provider.
pub(crate) struct SdkSettings {
    pub(crate) env: Env,
    pub(crate) region: Option<String>,
}

/// What `AWS_ENDPOINT_URL_<SERVICE>` says, asked by each service client for itself.
#[derive(Debug)]
struct ServiceEndpoints(Env);

impl LoadServiceConfig for ServiceEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_ascii_uppercase().replace([' ', '-'], "_");
        or_warn(self.0.get(&format!("{}_{service}", key.env()))).map(str::to_owned)
    }
}

fn flag(env: &Env, name: &str) -> Option<bool> {
    or_warn(env.get(name)).and_then(|_| or_warn(env.flag(name).map(Some)))
}

fn or_warn<T>(value: Result<Option<T>, crate::Error>) -> Option<T> {
    value.unwrap_or_else(|error| {
        tracing::warn!(%error, "ignored in the SDK's configuration");
        None
    })
}
