//! The configuration of SDK clients from this crate alone, without aws-config.

mod builder;
mod environment;
mod service;

use std::sync::Once;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::identity::{ResolveIdentity as _, SharedIdentityCache};

pub use builder::SdkConfigBuilder;

use crate::env::Env;
use crate::identity_cache::EksIdentityCache;
use crate::provider::EksCredentialsProvider;
use crate::timer::TokioSleep;

impl EksCredentialsProvider {
    /// The configuration of SDK clients, as a builder for more settings: this provider and its identity cache, the region,
    /// and the variables and constants that `aws_config::load_defaults` applies. It reads no profile files and never asks
    /// IMDS.
    ///
    /// ```no_run
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider, Error};
    /// # fn main() -> Result<(), Error> {
    /// let provider = EksCredentialsProvider::from_env()?;
    /// let config = provider.sdk_config(BehaviorVersion::latest()).build();
    /// let s3 = aws_sdk_s3::Client::new(&config);
    /// # Ok(()) }
    /// ```
    ///
    /// The region is that of [`Builder::region`](crate::Builder::region), else `AWS_REGION`, else `AWS_DEFAULT_REGION`. It is
    /// passed on in whatever form: an S3-compatible store may need `garage` or `auto`.
    ///
    /// The environment is the one that was read when the provider was built. A variable with an invalid or blank value
    /// counts as unset and is logged at WARN. Variables that are set and on purpose not read, such as `AWS_PROFILE`, are
    /// logged once for each provider at DEBUG.
    ///
    /// Every variable, and what differs from aws-config:
    /// [`docs::switching_from_aws_config`](crate::docs::switching_from_aws_config).
    pub fn sdk_config(&self, behavior_version: BehaviorVersion) -> SdkConfigBuilder {
        let shared = SharedCredentialsProvider::new(self.clone());
        let cache = EksIdentityCache::new(self.clone(), shared.cache_partition());
        let settings = self.sdk_settings();
        settings.report_not_read();
        let mut builder = aws_types::SdkConfig::builder();
        builder
            .set_behavior_version(Some(behavior_version))
            .set_credentials_provider(Some(shared))
            .set_identity_cache(Some(SharedIdentityCache::new(cache)))
            .set_time_source(Some(settings.time_source.clone()))
            .set_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep)));
        environment::apply(&settings.env, settings.region.as_deref(), &mut builder);
        SdkConfigBuilder::new(builder)
    }
}

/// What the SDK's configuration is made of, besides the provider.
pub(crate) struct SdkSettings {
    env: Env,
    /// The region given to the provider's builder.
    region: Option<String>,
    time_source: SharedTimeSource,
    not_read_reported: Once,
}

impl SdkSettings {
    pub(crate) fn new(env: Env, region: Option<String>, time_source: SharedTimeSource) -> Self {
        Self { env, region, time_source, not_read_reported: Once::new() }
    }

    fn report_not_read(&self) {
        self.not_read_reported.call_once(|| {
            let names: Vec<_> = self.env.not_read().collect();
            if !names.is_empty() {
                tracing::debug!(variables = ?names, "set, but on purpose not read by eks-credentials");
            }
        });
    }
}
