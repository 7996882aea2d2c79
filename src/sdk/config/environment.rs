//! Applies environment variables to the configuration of the SDK, as `ConfigLoader` of aws-config does.
//!
//! There is one general difference: an invalid or blank value counts as unset here and is logged at WARN. aws-config panics for
//! some variables (`AWS_MAX_ATTEMPTS`, `AWS_RETRY_MODE`) and uses the value of others unchanged (`AWS_REGION=""`).
//! `tests/sdk_config` compares both for every variable.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use aws_smithy_runtime_api::client::auth::{AuthSchemeId, AuthSchemePreference};
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::{RetryConfig, RetryMode, RetrySpec};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::app_name::AppName;
use aws_types::endpoint_config::AccountIdEndpointMode;
use aws_types::origin::Origin;
use aws_types::region::{Region, SigningRegionSet};
use aws_types::sdk_config::Builder;

use super::service::EnvServiceConfig;
use super::variables::{blank, endpoint_url, flag, from_str, setting, warn};
use crate::env::region;
use crate::env::{self, Env};

/// `SDK_DEFAULT_CONNECT_TIMEOUT` in `default_provider/timeout_config.rs` of aws-config 1.13.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

const CHECKSUMS: &str = "WHEN_SUPPORTED or WHEN_REQUIRED";

/// Sets everything that the environment configures, and the defaults of `ConfigLoader` that differ from those of clients.
pub(super) fn apply(env: &Env, region: Option<&str>, builder: &mut Builder) {
    let ignore_endpoint_urls = flag(env, env::IGNORE_ENDPOINT_URLS).unwrap_or_default();
    builder
        .set_region(self::region(env, region))
        .set_use_fips(flag(env, env::USE_FIPS))
        .set_use_dual_stack(flag(env, env::USE_DUALSTACK))
        .set_app_name(setting(env, "AWS_SDK_UA_APP_ID", "an app name (letters, digits, !#$%&'*+-.^_`|~)", app_name))
        .set_retry_config(Some(retry_config(env)))
        .set_timeout_config(Some(default_timeouts()))
        .set_disable_request_compression(flag(env, "AWS_DISABLE_REQUEST_COMPRESSION"))
        .set_request_min_compression_size_bytes(setting(
            env,
            "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
            "a number of bytes",
            from_str,
        ))
        .set_disable_clock_skew_correction(flag(env, "AWS_DISABLE_CLOCK_SKEW_CORRECTION"))
        .set_request_checksum_calculation(
            setting(env, "AWS_REQUEST_CHECKSUM_CALCULATION", CHECKSUMS, from_str)
                .or(Some(RequestChecksumCalculation::WhenSupported)),
        )
        .set_response_checksum_validation(
            setting(env, "AWS_RESPONSE_CHECKSUM_VALIDATION", CHECKSUMS, from_str)
                .or(Some(ResponseChecksumValidation::WhenSupported)),
        )
        .set_account_id_endpoint_mode(setting(
            env,
            "AWS_ACCOUNT_ID_ENDPOINT_MODE",
            "preferred, disabled or required",
            from_str::<AccountIdEndpointMode>,
        ))
        .set_auth_scheme_preference(setting(
            env,
            "AWS_AUTH_SCHEME_PREFERENCE",
            "a list of auth schemes such as sigv4a,sigv4",
            auth_schemes,
        ))
        .set_sigv4a_signing_region_set(setting(
            env,
            "AWS_SIGV4A_SIGNING_REGION_SET",
            "a list of regions, or *",
            signing_regions,
        ))
        .set_service_config(Some(EnvServiceConfig::new(env.clone(), ignore_endpoint_urls)));
    if !ignore_endpoint_urls && let Some(url) = endpoint_url(env, env::ENDPOINT_URL) {
        builder.set_endpoint_url(Some(url));
        builder.insert_origin("endpoint_url", Origin::shared_environment_variable());
    }
}

/// The timeouts that `ConfigLoader` sets by default.
pub(super) fn default_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build()
}

fn region(env: &Env, builder: Option<&str>) -> Option<Region> {
    if builder.is_none() {
        let consulted = [env::REGION, env::DEFAULT_REGION].into_iter().take_while(|name| !env.is_set(name));
        consulted
            .filter(|name| env.is_blank(name))
            .for_each(|name| warn(&blank(name, "a region such as eu-central-1")));
    }
    match region::configured(env, builder) {
        Ok(found) => found.map(|(_, region)| Region::new(region.to_owned())),
        Err(error) => {
            warn(&error);
            None
        }
    }
}

fn retry_config(env: &Env) -> RetryConfig {
    let mut config = RetryConfig::standard();
    if let Some(attempts) = setting(env, "AWS_MAX_ATTEMPTS", "a number of at least 1", from_str::<NonZeroU32>) {
        config = config.with_max_attempts(attempts.get());
    }
    if let Some(mode) = setting(env, "AWS_RETRY_MODE", "standard or adaptive", from_str::<RetryMode>) {
        config = config.with_retry_mode(mode);
    }
    if flag(env, "AWS_NEW_RETRIES_2026") == Some(true) {
        config = config.with_retry_spec(RetrySpec::v2_1());
    }
    config
}

fn app_name(value: &str) -> Option<AppName> {
    AppName::new(value.to_owned()).ok()
}

/// A list such as `aws.auth#sigv4, sigv4a`, with or without namespaces. Blanks in names are ignored, as in aws-config.
fn auth_schemes(value: &str) -> Option<AuthSchemePreference> {
    let scheme = |name: &str| {
        let name = name.trim().replace([' ', '\t'], "");
        let short = name.rsplit('#').next().unwrap_or_default();
        (!name.is_empty()).then(|| AuthSchemeId::from(Cow::Owned(short.to_owned())))
    };
    value.split(',').map(scheme).collect::<Option<Vec<_>>>().map(AuthSchemePreference::from)
}

fn signing_regions(value: &str) -> Option<SigningRegionSet> {
    let regions: SigningRegionSet = value.split(',').map(str::trim).filter(|region| !region.is_empty()).collect();
    Some(regions).filter(|regions| !regions.as_ref().is_empty())
}
