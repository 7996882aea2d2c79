//! The builder for the SDK's configuration. It records which settings were made in code.

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

/// Builds an [`SdkConfig`] for SDK clients.
///
/// [`EksCredentialsProvider::sdk_config`](crate::EksCredentialsProvider::sdk_config) returns it. The setters have the same names
/// and effects as those of `ConfigLoader` in aws-config. They have precedence over the environment, also over the variables of a
/// single service such as `AWS_ENDPOINT_URL_S3`.
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
/// For all other settings, use the SDK's own builder, which [`into_builder`](Self::into_builder) returns.
#[must_use = "call `build` to get the configuration"]
pub struct SdkConfigBuilder(Builder);

impl SdkConfigBuilder {
    pub(super) fn new(builder: Builder) -> Self {
        Self(builder)
    }

    /// Builds the configuration, for `Client::new` and `config::Builder::from` of every SDK client.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// let config = provider.sdk_config(BehaviorVersion::latest()).build();
    /// assert_eq!(config.region().unwrap().as_ref(), "eu-central-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> SdkConfig {
        self.0.build()
    }

    /// Converts into the SDK's own builder, which keeps all settings made so far.
    ///
    /// The SDK's builder does not record that a value was set in code. If an endpoint URL is set on it,
    /// `AWS_ENDPOINT_URL_<SERVICE>` still has precedence. Therefore call [`endpoint_url`](Self::endpoint_url) before this method.
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

    /// Sets the region. Default: [`Builder::region`](crate::Builder::region) of the provider, then `AWS_REGION`, then
    /// `AWS_DEFAULT_REGION`.
    ///
    /// This does not change the region of the STS endpoint for IRSA.
    ///
    /// ```
    /// use aws_sdk_s3::config::Region;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.region(Region::new("eu-west-1")).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn region(self, region: impl Into<Option<Region>>) -> Self {
        Self(self.0.region(region))
    }

    /// Sets the endpoint URL of all services. Default: `AWS_ENDPOINT_URL_<SERVICE>`, then `AWS_ENDPOINT_URL`.
    ///
    /// Both variables are ignored if `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`. This setting does not change the STS endpoint
    /// for IRSA: for that, use `sts_endpoint` of the provider's builder.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.endpoint_url("https://s3.example.com").build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn endpoint_url(mut self, endpoint_url: impl Into<String>) -> Self {
        self.set_in_code("endpoint_url");
        Self(self.0.endpoint_url(endpoint_url))
    }

    /// Sets how failed requests are retried. Default: `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE`, else the standard mode with 3
    /// attempts.
    ///
    /// ```
    /// use aws_sdk_s3::config::retry::RetryConfig;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.retry_config(RetryConfig::standard().with_max_attempts(5)).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_config(mut self, retry_config: RetryConfig) -> Self {
        self.set_in_code("retry_config");
        Self(self.0.retry_config(retry_config))
    }

    /// Sets timeouts. Default: 3.1 s for connecting, and no other timeout.
    ///
    /// A timeout that is not set in `timeout_config` keeps its default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aws_sdk_s3::config::timeout::TimeoutConfig;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).build()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout_config(self, mut timeout_config: TimeoutConfig) -> Self {
        timeout_config.take_defaults_from(&environment::default_timeouts());
        Self(self.0.timeout_config(timeout_config))
    }

    /// Sets the HTTP client, for example a [`SharedHttpClient`](crate::SharedHttpClient). Default: that of each SDK client.
    ///
    /// Credentials are not fetched with it: for that, use `http_client` of the provider's builder.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.http_client(aws_smithy_http_client::Builder::new().build_http()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn http_client(self, http_client: impl HttpClient + 'static) -> Self {
        Self(self.0.http_client(http_client))
    }

    /// Sets the name of the program in the `User-Agent` header. Default: `AWS_SDK_UA_APP_ID`.
    ///
    /// ```
    /// use aws_sdk_s3::config::AppName;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.app_name(AppName::new("orders-service")?).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn app_name(self, app_name: AppName) -> Self {
        Self(self.0.app_name(app_name))
    }

    /// Adds a framework to the `User-Agent` header.
    ///
    /// ```
    /// use aws_sdk_s3::config::FrameworkMetadata;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.framework_metadata(FrameworkMetadata::new("my-framework", Some("1.0"))?).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn framework_metadata(self, framework_metadata: FrameworkMetadata) -> Self {
        Self(self.0.framework_metadata(framework_metadata))
    }

    /// Sets whether requests are sent to FIPS endpoints. Default: `AWS_USE_FIPS_ENDPOINT`.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.use_fips(true).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn use_fips(self, use_fips: bool) -> Self {
        Self(self.0.use_fips(use_fips))
    }

    /// Sets whether requests are sent to dual-stack endpoints. Default: `AWS_USE_DUALSTACK_ENDPOINT`.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.use_dual_stack(true).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn use_dual_stack(self, use_dual_stack: bool) -> Self {
        Self(self.0.use_dual_stack(use_dual_stack))
    }

    /// Sets the clock for signatures. Default: the clock of the provider.
    ///
    /// ```
    /// use aws_smithy_async::time::StaticTimeSource;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.time_source(StaticTimeSource::from_secs(1_767_225_600)).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn time_source(self, time_source: impl TimeSource + 'static) -> Self {
        Self(self.0.time_source(time_source))
    }

    /// Sets the timer for retries and timeouts. Default: tokio's timer.
    ///
    /// ```
    /// use aws_smithy_async::rt::sleep::TokioSleep;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.sleep_impl(TokioSleep::new()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sleep_impl(self, sleep_impl: impl AsyncSleep + 'static) -> Self {
        Self(self.0.sleep_impl(sleep_impl))
    }

    /// Sets when clients cancel transfers that make no progress. Default: as defined by the behavior version.
    ///
    /// ```
    /// use aws_sdk_s3::config::StalledStreamProtectionConfig;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.stalled_stream_protection(StalledStreamProtectionConfig::disabled()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stalled_stream_protection(self, config: StalledStreamProtectionConfig) -> Self {
        Self(self.0.stalled_stream_protection(config))
    }

    /// Sets when a request has a checksum. Default: `AWS_REQUEST_CHECKSUM_CALCULATION`, else whenever the operation supports it.
    ///
    /// Some S3-compatible stores reject these checksums and require `WhenRequired`.
    ///
    /// ```
    /// use aws_sdk_s3::config::RequestChecksumCalculation;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.request_checksum_calculation(RequestChecksumCalculation::WhenRequired).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_checksum_calculation(self, when: RequestChecksumCalculation) -> Self {
        Self(self.0.request_checksum_calculation(when))
    }

    /// Sets when the checksum of a response is validated. Default: `AWS_RESPONSE_CHECKSUM_VALIDATION`, else whenever the operation
    /// supports it.
    ///
    /// ```
    /// use aws_sdk_s3::config::ResponseChecksumValidation;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.response_checksum_validation(ResponseChecksumValidation::WhenRequired).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn response_checksum_validation(self, when: ResponseChecksumValidation) -> Self {
        Self(self.0.response_checksum_validation(when))
    }

    /// Sets whether endpoints contain the account ID, which DynamoDB supports. Default: `AWS_ACCOUNT_ID_ENDPOINT_MODE`, else
    /// `preferred`.
    ///
    /// Use `Disabled` if a firewall allows only certain host names.
    ///
    /// ```
    /// use aws_types::endpoint_config::AccountIdEndpointMode;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.account_id_endpoint_mode(AccountIdEndpointMode::Disabled).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn account_id_endpoint_mode(self, mode: AccountIdEndpointMode) -> Self {
        Self(self.0.account_id_endpoint_mode(mode))
    }

    /// Sets the preferred order of authentication schemes. Default: `AWS_AUTH_SCHEME_PREFERENCE`.
    ///
    /// ```
    /// use aws_smithy_runtime_api::client::auth::AuthSchemeId;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.auth_scheme_preference([AuthSchemeId::new("sigv4a")]).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn auth_scheme_preference(mut self, preference: impl Into<AuthSchemePreference>) -> Self {
        self.set_in_code("auth_scheme_preference");
        Self(self.0.auth_scheme_preference(preference))
    }

    /// Sets the regions in which a SigV4a signature is valid. Default: `AWS_SIGV4A_SIGNING_REGION_SET`.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.sigv4a_signing_region_set("*").build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sigv4a_signing_region_set(self, regions: impl Into<SigningRegionSet>) -> Self {
        Self(self.0.sigv4a_signing_region_set(regions))
    }

    /// Sets whether the compression of requests is disabled. Default: `AWS_DISABLE_REQUEST_COMPRESSION`.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.disable_request_compression(true).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disable_request_compression(self, disable: bool) -> Self {
        Self(self.0.disable_request_compression(disable))
    }

    /// Sets the minimum size of compressed requests, in bytes. Default: `AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES`.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.request_min_compression_size_bytes(10_240).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_min_compression_size_bytes(self, size: u32) -> Self {
        Self(self.0.request_min_compression_size_bytes(size))
    }

    /// Sets whether signatures use the local clock without a correction by the clock of the server. Default:
    /// `AWS_DISABLE_CLOCK_SKEW_CORRECTION`.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.disable_clock_skew_correction(true).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disable_clock_skew_correction(self, disable: bool) -> Self {
        Self(self.0.disable_clock_skew_correction(disable))
    }

    /// Sets the identity cache. Default: [`identity_cache`](crate::EksCredentialsProvider::identity_cache) of the provider.
    ///
    /// With the default, a request waits for a refresh only if the provider has no valid credentials.
    ///
    /// ```
    /// use aws_sdk_s3::config::IdentityCache;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.identity_cache(IdentityCache::no_cache()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn identity_cache(self, identity_cache: impl ResolveCachedIdentity + 'static) -> Self {
        Self(self.0.identity_cache(identity_cache))
    }

    /// Sets the provider of bearer tokens, for services that use them.
    ///
    /// ```
    /// use aws_credential_types::Token;
    ///
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// # let builder = provider.sdk_config(BehaviorVersion::latest());
    /// let config = builder.token_provider(Token::new("token", None)).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token_provider(mut self, token_provider: impl ProvideToken + 'static) -> Self {
        self.set_in_code("token_provider");
        Self(self.0.token_provider(SharedTokenProvider::new(token_provider)))
    }

    /// SDK clients compare the origin of these settings with the origin of variables for a single service.
    fn set_in_code(&mut self, setting: &'static str) {
        self.0.insert_origin(setting, Origin::shared_config());
    }
}

/// Prints no values, because an endpoint URL may contain a password.
impl fmt::Debug for SdkConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkConfigBuilder").finish_non_exhaustive()
    }
}
