//! An `SdkConfig` as a list of fields, to compare two of them.

use std::collections::BTreeMap;

use aws_smithy_types::retry::{RetryConfig, RetrySpec};
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// The value of each field as one line, by name. The credentials provider and the identity cache are left out, because they
/// differ by design.
pub(crate) type Fields = BTreeMap<&'static str, String>;

/// What service clients look up: the service ID and the variable.
const LOOKUPS: [(&str, &str, &str); 4] = [
    ("endpoint URL of S3", "S3", "AWS_ENDPOINT_URL"),
    ("endpoint URL of API Gateway", "API Gateway", "AWS_ENDPOINT_URL"),
    ("S3 Express session auth disabled", "S3", "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH"),
    ("bearer token of Bedrock", "Bedrock", "AWS_BEARER_TOKEN"),
];

pub(crate) fn fields(config: &SdkConfig) -> Fields {
    let retries = config.retry_config();
    let new_retries =
        retries.and_then(RetryConfig::retry_spec).is_some_and(|spec| spec.is_at_least(RetrySpec::V2_1)).then_some(true);
    // aws-config wraps it in two layers.
    let clock = debug(config.time_source()).replace("SharedTimeSource(SharedTimeSource(", "SharedTimeSource(");
    let clock = clock.replace("))", ")");
    let schemes = config.auth_scheme_preference().cloned().map(|preference| {
        preference.into_iter().map(|scheme| scheme.inner().to_owned()).collect::<Vec<_>>().join(", ")
    });
    let mut fields = Fields::from([
        ("region", text(config.region())),
        ("FIPS", text(config.use_fips())),
        ("dual-stack", text(config.use_dual_stack())),
        ("app name", text(config.app_name())),
        ("framework metadata", format!("{:?}", config.framework_metadata())),
        ("attempts", text(retries.map(|retries| retries.max_attempts()))),
        ("retry mode", debug(retries.map(|retries| retries.mode()))),
        ("retry behavior of 2026", text(new_retries)),
        ("retries", debug(retries)),
        ("retries set in", origin(config, "retry_config")),
        ("time limits", debug(config.timeout_config())),
        ("stalled stream protection", debug(config.stalled_stream_protection())),
        ("endpoint URL", text(config.endpoint_url())),
        ("endpoint URL set in", origin(config, "endpoint_url")),
        ("request compression disabled", text(config.disable_request_compression())),
        ("minimum size for compression", text(config.request_min_compression_size_bytes())),
        ("clock skew correction disabled", text(config.disable_clock_skew_correction())),
        ("request checksums", debug(config.request_checksum_calculation())),
        ("response checksums", debug(config.response_checksum_validation())),
        ("account id endpoints", text(config.account_id_endpoint_mode())),
        ("auth schemes", text(schemes)),
        ("auth schemes set in", origin(config, "auth_scheme_preference")),
        ("SigV4a regions", text(config.sigv4a_signing_region_set().map(AsRef::as_ref))),
        ("token provider", config.token_provider().is_some().to_string()),
        ("token provider set in", origin(config, "token_provider")),
        ("HTTP client", config.http_client().is_some().to_string()),
        ("protocol", config.protocol().is_some().to_string()),
        ("behavior version", debug(config.behavior_version())),
        ("time source", clock),
        ("sleep", debug(config.sleep_impl())),
        ("credentials", config.credentials_provider().is_some().to_string()),
    ]);
    for (name, service, variable) in LOOKUPS {
        let key = ServiceConfigKey::builder().service_id(service).env(variable).profile("none").build().unwrap();
        fields.insert(name, text(config.service_config().and_then(|service| service.load_config(key))));
    }
    fields
}

/// Asserts that both have the same fields.
pub(crate) fn assert_same(loader: &Fields, ours: &Fields, of: &str) {
    let differences: Vec<_> = ours.iter().filter(|(name, value)| loader.get(*name) != Some(value)).collect();
    let theirs: Vec<_> = differences.iter().map(|(name, _)| (name, &loader[**name])).collect();
    assert!(loader.len() == ours.len() && differences.is_empty(), "{of}: {differences:?}, and aws-config {theirs:?}");
}

/// The fields that differ from `base`, as text for people. Details that follow from another field are left out.
pub(crate) fn changed(fields: &Fields, base: &Fields) -> String {
    let names = fields.iter().filter(|(name, value)| base.get(*name) != Some(value));
    let names = names.filter(|(name, _)| **name != "retries" && !name.ends_with("set in"));
    names.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
}

fn origin(config: &SdkConfig, setting: &'static str) -> String {
    config.get_origin(setting).to_string()
}

fn text(value: Option<impl std::fmt::Display>) -> String {
    match value.map(|value| value.to_string()) {
        None => "none".to_owned(),
        Some(blank) if blank.trim().is_empty() => "(blank)".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

fn debug(value: Option<impl std::fmt::Debug>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("`{value:?}`"))
}
