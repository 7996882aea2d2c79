//! The configuration of SDK clients from this crate alone, without aws-config.

mod builder;
mod environment;
mod service;
mod variables;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::identity::{ResolveIdentity as _, SharedIdentityCache};

pub use builder::SdkConfigBuilder;

use crate::clock::timer::TokioSleep;
use crate::env::Env;
use crate::provider::EksCredentialsProvider;
use crate::sdk::identity_cache::EksIdentityCache;

impl EksCredentialsProvider {
    /// Returns a builder for the configuration of SDK clients.
    ///
    /// It already contains this provider and its identity cache, the region, and the variables and defaults that
    /// `aws_config::load_defaults` applies. No profile files are read, and IMDS is never called.
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
    /// The region is that of [`Builder::region`](crate::Builder::region), else `AWS_REGION`, else `AWS_DEFAULT_REGION`. It may
    /// have any form, because S3-compatible stores have regions such as `garage` or `auto`.
    ///
    /// The environment is that of the provider, which was read when the provider was built. A variable with an invalid or blank
    /// value counts as unset and is logged at WARN. Some variables, such as `AWS_PROFILE`, are intentionally not read. If they
    /// are set, they are logged at DEBUG, once for each provider.
    ///
    /// [`docs::switching_from_aws_config`](crate::docs::switching_from_aws_config) lists every variable and all differences from
    /// aws-config.
    pub fn sdk_config(&self, behavior_version: BehaviorVersion) -> SdkConfigBuilder {
        let shared = SharedCredentialsProvider::new(self.clone());
        let cache = EksIdentityCache::new(self.clone(), shared.cache_partition());
        let setup = self.setup();
        self.report_once(|| report_not_read(&setup.env));
        let mut builder = aws_types::SdkConfig::builder();
        builder
            .set_behavior_version(Some(behavior_version))
            .set_credentials_provider(Some(shared))
            .set_identity_cache(Some(SharedIdentityCache::new(cache)))
            .set_time_source(Some(setup.time_source()))
            .set_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep)));
        environment::apply(&setup.env, setup.settings.region.as_deref(), &mut builder);
        SdkConfigBuilder::new(builder)
    }
}

fn report_not_read(env: &Env) {
    let names: Vec<_> = env.not_read().collect();
    if !names.is_empty() {
        tracing::debug!(variables = ?names, "these variables are set, but eks-credentials does not read them");
    }
}
