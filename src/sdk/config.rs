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
        tracing::debug!(variables = ?names, "set, but on purpose not read by eks-credentials");
    }
}
