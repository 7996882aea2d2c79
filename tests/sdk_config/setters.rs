//! Settings made in code. They have the same effect as in aws-config, and precedence over the environment.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::{Credentials, Token};
use aws_sdk_s3::client::Waiters as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::{StaticTimeSource, TimeSource as _};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::app_name::AppName;
use aws_types::endpoint_config::AccountIdEndpointMode;
use aws_types::region::Region;
use aws_types::sdk_ua_metadata::FrameworkMetadata;
use eks_credentials::testing::LocalPod;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider, SdkConfigBuilder};

use crate::fields::{assert_same, fields};
use crate::support::{self, with};
use crate::wire::Recorder;

const ENDPOINT: &str = "http://127.0.0.1:9";

/// The same calls on both builders.
macro_rules! every_setting {
    ($builder:expr) => {
        $builder
            .region(Region::new("garage"))
            .endpoint_url(ENDPOINT)
            .retry_config(RetryConfig::standard().with_max_attempts(7))
            .timeout_config(TimeoutConfig::builder().read_timeout(Duration::from_secs(4)).build())
            .http_client(Recorder::default().client())
            .app_name(AppName::new("my-app").unwrap())
            .framework_metadata(FrameworkMetadata::new("my-framework", Some("1.0")).unwrap())
            .use_fips(false)
            .use_dual_stack(true)
            .time_source(StaticTimeSource::from_secs(1))
            .sleep_impl(TokioSleep::new())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .account_id_endpoint_mode(AccountIdEndpointMode::Disabled)
            .auth_scheme_preference([AuthSchemeId::new("sigv4a")])
            .sigv4a_signing_region_set("*")
            .disable_request_compression(true)
            .request_min_compression_size_bytes(1)
            .disable_clock_skew_correction(true)
            .token_provider(Token::new("token", None))
    };
}

fn no_configuration() -> SdkConfigBuilder {
    let provider = EksCredentialsProvider::builder().env::<&str, &str>([]).build().unwrap();
    provider.sdk_config(BehaviorVersion::latest())
}

#[tokio::test]
async fn sdk_config_setters_have_the_effect_of_config_loader() {
    let loader = every_setting!(aws_config::defaults(BehaviorVersion::latest()).test_environment());
    let (loader, ours) = (loader.load().await, every_setting!(no_configuration()).build());
    assert_same(&fields(&loader), &fields(&ours), "every setter");
    assert_eq!(fields(&ours)["endpoint URL set in"], "shared client");
    let unchanged: Vec<_> = {
        let (before, after) = (fields(&no_configuration().build()), fields(&ours));
        before.into_iter().filter(|(name, value)| after[name] == *value).map(|(name, _)| name).collect()
    };
    // Every other field must be changed by the calls above. Otherwise a setter without effect would not be noticed.
    let expected = [
        "S3 Express session auth disabled",
        "bearer token of Bedrock",
        "behavior version",
        "credentials",
        "endpoint URL of API Gateway",
        "endpoint URL of S3",
        "protocol",
        "retry behavior of 2026",
        "retry mode",
        "sleep",
    ];
    assert_eq!(unchanged, expected);
}

/// A loader that reads nothing from this process.
trait TestEnvironment {
    fn test_environment(self) -> Self;
}

impl TestEnvironment for aws_config::ConfigLoader {
    fn test_environment(self) -> Self {
        self.empty_test_environment().credentials_provider(Credentials::for_tests())
    }
}

#[tokio::test]
async fn sdk_config_endpoint_in_code_has_precedence_over_variables() {
    let pod = LocalPod::start().await.unwrap();
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_S3", "http://from-the-environment.example");
    let env = with(env, "AWS_ENDPOINT_URL", "http://from-the-environment.example");
    let provider = support::provider(env);
    let recorder = Recorder::default();
    let config = provider
        .sdk_config(BehaviorVersion::latest())
        .http_client(recorder.client())
        .retry_config(RetryConfig::disabled())
        .endpoint_url("http://in-code.example")
        .build();
    aws_sdk_s3::Client::new(&config).list_buckets().send().await.unwrap_err();
    aws_sdk_dynamodb::Client::new(&config).list_tables().send().await.unwrap_err();
    let sent = recorder.take();
    assert_eq!(sent.len(), 2, "{sent:#?}");
    assert!(sent.iter().all(|line| line.contains(" http://in-code.example/")), "{sent:#?}");
}

#[test]
fn sdk_config_builder_debug_shows_no_value() {
    let builder = no_configuration().endpoint_url("http://me:hunter2@x");
    assert_eq!(format!("{builder:?}"), "SdkConfigBuilder { .. }");
}

#[test]
fn sdk_config_builder_converts_into_the_sdk_builder() {
    let config = no_configuration().region(Region::new("garage")).into_builder().region(None).build();
    assert_eq!(config.region(), None);
    assert!(config.credentials_provider().is_some());
}

/// Without a time source, aws-config panics with "A time source must be provided".
#[tokio::test]
async fn assume_role_provider_accepts_an_sdk_config() {
    let pod = LocalPod::start().await.unwrap();
    let provider = support::provider(pod.irsa_env());
    let answer = "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser>\
        <Arn>arn:aws:sts::111122223333:assumed-role/other/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId>\
        </AssumedRoleUser><Credentials><AccessKeyId>ASIAOTHER</AccessKeyId><SecretAccessKey>key</SecretAccessKey>\
        <SessionToken>token</SessionToken><Expiration>2126-01-01T00:00:00Z</Expiration></Credentials>\
        </AssumeRoleResult></AssumeRoleResponse>";
    let sts = support::Recorder::start(support::http(200, "text/xml", answer)).await;
    let config = provider.sdk_config(BehaviorVersion::latest()).endpoint_url(format!("http://{}", sts.address)).build();
    let role = || AssumeRoleProvider::builder("arn:aws:iam::111122223333:role/other").configure(&config);
    let assumed = role().build().await.provide_credentials().await.unwrap();
    assert_eq!(assumed.access_key_id(), "ASIAOTHER");
    let assumed = role().build_from_provider(provider.clone()).await.provide_credentials().await.unwrap();
    assert_eq!(assumed.access_key_id(), "ASIAOTHER");
    let ours = provider.cached().unwrap();
    let requests = sts.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.contains(&format!("Credential={}", ours.access_key_id()))));
}

/// Signing, waiting and `config::Builder::from` work without a time source and a timer from the crate of the client.
#[tokio::test]
async fn sdk_config_has_a_time_source_and_a_timer() {
    let pod = LocalPod::start().await.unwrap();
    let provider = support::provider(with(pod.irsa_env(), "AWS_ENDPOINT_URL_S3", "http://s3.example"));
    provider.warm_up().await.unwrap();
    let recorder = Recorder::default();
    let config = provider.sdk_config(BehaviorVersion::latest()).http_client(recorder.client()).build();
    assert!(config.time_source().is_some() && config.sleep_impl().is_some());

    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    let expires = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let presigned = s3.get_object().bucket("b").key("k").presigned(expires).await.unwrap();
    assert!(presigned.uri().starts_with("http://s3.example/b/k?"), "{}", presigned.uri());

    tokio::time::pause();
    s3.wait_until_bucket_exists().bucket("b").wait(Duration::from_secs(60)).await.unwrap_err();
    assert!(recorder.take().len() > 1);

    aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap_err();
    let sent = recorder.take();
    assert_eq!(sent.len(), 3, "{sent:#?}");
}

/// Clients sign with the clock that was given to the provider.
#[test]
fn sdk_config_has_the_clock_of_the_provider() {
    let clock = || StaticTimeSource::from_secs(1_700_000_000);
    let provider = EksCredentialsProvider::builder().env::<&str, &str>([]).time_source(clock()).build().unwrap();
    let config = provider.sdk_config(BehaviorVersion::latest()).build();
    assert_eq!(config.time_source().unwrap().now(), clock().now());
}
