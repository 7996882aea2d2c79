//! The builder of the SDK's configuration, which records which settings were made in code.

use std::fmt;

use aws_credential_types::provider::token::{ProvideToken, SharedTokenProvider};
use aws_smithy_async::rt::sleep::AsyncSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::auth::AuthSchemePreference;
use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_runtime_api::client::identity::ResolveCachedIdentity;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::endpoint_config::AccountIdEndpointMode;
use aws_types::origin::Origin;
use aws_types::region::{Region, SigningRegionSet};
use aws_types::sdk_config::Builder;
use aws_types::sdk_ua_metadata::FrameworkMetadata;

use super::environment;

/// Builds an [`SdkConfig`] for SDK clients: from [`EksCredentialsProvider::sdk_config`](crate::EksCredentialsProvider::sdk_config).
///
/// The setters have the names and the effect of those of aws-config's `ConfigLoader`. A setting made here wins over the
/// environment, also over the variables of a single service such as `AWS_ENDPOINT_URL_S3`.
///
/// ```no_run
/// # use std::time::Duration;
/// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider, Error};
/// # fn main() -> Result<(), Error> {
/// use aws_sdk_s3::config::retry::RetryConfig;
/// use aws_sdk_s3::config::timeout::TimeoutConfig;
///
/// # let provider = EksCredentialsProvider::from_env()?;
/// let config = provider
///     .sdk_config(BehaviorVersion::latest())
///     .endpoint_url("https://s3.example.com")
///     .retry_config(RetryConfig::standard().with_max_attempts(5))
///     .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).build())
///     .build();
/// let s3 = aws_sdk_s3::Client::new(&config);
/// # Ok(()) }
/// ```
///
/// For everything else, [`into_builder`](Self::into_builder) gives the SDK's own builder.
#[must_use = "call `build` to get the configuration"]
pub struct SdkConfigBuilder(Builder);

impl SdkConfigBuilder {
    pub(super) fn new(builder: Builder) -> Self {
        Self(builder)
    }

    /// The configuration for `Client::new` and for `config::Builder::from` of every SDK client.
    pub fn build(self) -> SdkConfig {
        self.0.build()
    }

    /// The SDK's own builder, with everything that is set so far.
    ///
    /// The SDK's builder does not record that a value was set in code. An endpoint URL that is set on it therefore gives
    /// way to `AWS_ENDPOINT_URL_<SERVICE>`: use [`endpoint_url`](Self::endpoint_url) before.
    ///
    /// ```no_run
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider, Error};
    /// # use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
    /// # fn main() -> Result<(), Error> {
    /// # let provider = EksCredentialsProvider::from_env()?;
    /// # let assumed_role = Credentials::for_tests();
    /// let config = provider
    ///     .sdk_config(BehaviorVersion::latest())
    ///     .into_builder()
    ///     .credentials_provider(SharedCredentialsProvider::new(assumed_role))
    ///     .build();
    /// # Ok(()) }
    /// ```
    pub fn into_builder(self) -> Builder {
        self.0
    }

    /// The region. Default: [`Builder::region`](crate::Builder::region) of the provider, then `AWS_REGION`, then
    /// `AWS_DEFAULT_REGION`. The region of the STS endpoint for IRSA is not changed.
    pub fn region(self, region: impl Into<Option<Region>>) -> Self {
        Self(self.0.region(region))
    }

    /// The endpoint URL of all services. Default: `AWS_ENDPOINT_URL_<SERVICE>`, then `AWS_ENDPOINT_URL`, and none of them if
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`. The endpoint of STS for IRSA is not changed: see `sts_endpoint` of the
    /// provider's builder.
    pub fn endpoint_url(mut self, endpoint_url: impl Into<String>) -> Self {
        self.set_in_code("endpoint_url");
        Self(self.0.endpoint_url(endpoint_url))
    }

    /// How failed requests are retried. Default: `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE`, else the standard mode with 3
    /// attempts.
    pub fn retry_config(mut self, retry_config: RetryConfig) -> Self {
        self.set_in_code("retry_config");
        Self(self.0.retry_config(retry_config))
    }

    /// Time limits. A limit that is not set here keeps its default: 3.1 s for connecting, and no other limit.
    pub fn timeout_config(self, mut timeout_config: TimeoutConfig) -> Self {
        timeout_config.take_defaults_from(&environment::default_timeouts());
        Self(self.0.timeout_config(timeout_config))
    }

    /// The HTTP client. Default: that of each SDK client. It does not fetch credentials: see `http_client` of the provider's
    /// builder.
    pub fn http_client(self, http_client: impl HttpClient + 'static) -> Self {
        Self(self.0.http_client(http_client))
    }

    /// The name of the program in the `User-Agent` header. Default: `AWS_SDK_UA_APP_ID`.
    pub fn app_name(self, app_name: AppName) -> Self {
        Self(self.0.app_name(app_name))
    }

    /// Adds a framework to the `User-Agent` header.
    pub fn framework_metadata(self, framework_metadata: FrameworkMetadata) -> Self {
        Self(self.0.framework_metadata(framework_metadata))
    }

    /// Whether requests go to FIPS endpoints. Default: `AWS_USE_FIPS_ENDPOINT`.
    pub fn use_fips(self, use_fips: bool) -> Self {
        Self(self.0.use_fips(use_fips))
    }

    /// Whether requests go to dual-stack endpoints. Default: `AWS_USE_DUALSTACK_ENDPOINT`.
    pub fn use_dual_stack(self, use_dual_stack: bool) -> Self {
        Self(self.0.use_dual_stack(use_dual_stack))
    }

    /// The clock that requests are signed by. Default: the provider's.
    pub fn time_source(self, time_source: impl TimeSource + 'static) -> Self {
        Self(self.0.time_source(time_source))
    }

    /// How clients wait, for retries and time limits. Default: tokio's timer.
    pub fn sleep_impl(self, sleep_impl: impl AsyncSleep + 'static) -> Self {
        Self(self.0.sleep_impl(sleep_impl))
    }

    /// How a client ends transfers that no longer make progress. Default: as the behavior version has it.
    pub fn stalled_stream_protection(self, config: StalledStreamProtectionConfig) -> Self {
        Self(self.0.stalled_stream_protection(config))
    }

    /// When a checksum is sent with a request. Default: `AWS_REQUEST_CHECKSUM_CALCULATION`, else whenever the operation
    /// supports it. Some S3-compatible stores refuse these checksums and need `WhenRequired`.
    pub fn request_checksum_calculation(self, when: RequestChecksumCalculation) -> Self {
        Self(self.0.request_checksum_calculation(when))
    }

    /// When the checksum of a response is validated. Default: `AWS_RESPONSE_CHECKSUM_VALIDATION`, else whenever the operation
    /// supports it.
    pub fn response_checksum_validation(self, when: ResponseChecksumValidation) -> Self {
        Self(self.0.response_checksum_validation(when))
    }

    /// Whether endpoints contain the account id, as those of DynamoDB can. Default: `AWS_ACCOUNT_ID_ENDPOINT_MODE`, else
    /// `preferred`. Allow-lists of host names need `disabled`.
    pub fn account_id_endpoint_mode(self, mode: AccountIdEndpointMode) -> Self {
        Self(self.0.account_id_endpoint_mode(mode))
    }

    /// The order in which auth schemes are tried. Default: `AWS_AUTH_SCHEME_PREFERENCE`.
    pub fn auth_scheme_preference(mut self, preference: impl Into<AuthSchemePreference>) -> Self {
        self.set_in_code("auth_scheme_preference");
        Self(self.0.auth_scheme_preference(preference))
    }

    /// The regions for which a SigV4a signature is valid. Default: `AWS_SIGV4A_SIGNING_REGION_SET`.
    pub fn sigv4a_signing_region_set(self, regions: impl Into<SigningRegionSet>) -> Self {
        Self(self.0.sigv4a_signing_region_set(regions))
    }

    /// Whether requests are sent without compression. Default: `AWS_DISABLE_REQUEST_COMPRESSION`.
    pub fn disable_request_compression(self, disable: bool) -> Self {
        Self(self.0.disable_request_compression(disable))
    }

    /// From which size requests are compressed, in bytes. Default: `AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES`.
    pub fn request_min_compression_size_bytes(self, size: u32) -> Self {
        Self(self.0.request_min_compression_size_bytes(size))
    }

    /// Whether signatures keep to the local clock instead of correcting it by the server's. Default:
    /// `AWS_DISABLE_CLOCK_SKEW_CORRECTION`.
    pub fn disable_clock_skew_correction(self, disable: bool) -> Self {
        Self(self.0.disable_clock_skew_correction(disable))
    }

    /// The identity cache. Default: [`identity_cache`](crate::EksCredentialsProvider::identity_cache) of the provider, with
    /// which a request never waits for a refresh.
    pub fn identity_cache(self, identity_cache: impl ResolveCachedIdentity + 'static) -> Self {
        Self(self.0.identity_cache(identity_cache))
    }

    /// The provider of bearer tokens, for services that use them.
    pub fn token_provider(mut self, token_provider: impl ProvideToken + 'static) -> Self {
        self.set_in_code("token_provider");
        Self(self.0.token_provider(SharedTokenProvider::new(token_provider)))
    }

    /// SDK clients compare the origin of these settings with that of variables for a single service.
    fn set_in_code(&mut self, setting: &'static str) {
        self.0.insert_origin(setting, Origin::shared_config());
    }
}

/// No values: an endpoint URL may contain a password.
impl fmt::Debug for SdkConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkConfigBuilder").finish_non_exhaustive()
    }
}
