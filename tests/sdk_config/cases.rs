//! Values of every variable that `ConfigLoader` applies: valid, invalid and blank.

use crate::child::{Compared, compare};
use crate::fields::{assert_same, changed};
use crate::page;

/// What is expected for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Both configurations apply it in the same way.
    Valid,
    /// It counts as unset and is logged at WARN. aws-config may do something else.
    Invalid,
}
use Value::{Invalid, Valid};

pub(crate) struct Case {
    pub(crate) variable: &'static str,
    pub(crate) value: &'static str,
    pub(crate) kind: Value,
}

const fn case(variable: &'static str, value: &'static str, kind: Value) -> Case {
    Case { variable, value, kind }
}

/// In the order of the documentation.
pub(crate) const CASES: &[Case] = &[
    case("AWS_REGION", "eu-central-1", Valid),
    case("AWS_REGION", "garage", Valid),
    case("AWS_REGION", "aws-global", Valid),
    case("AWS_REGION", "", Invalid),
    case("AWS_DEFAULT_REGION", "RegionOne", Valid),
    case("AWS_DEFAULT_REGION", "", Invalid),
    case("AWS_USE_FIPS_ENDPOINT", "true", Valid),
    case("AWS_USE_FIPS_ENDPOINT", "FALSE", Valid),
    case("AWS_USE_FIPS_ENDPOINT", "yes", Invalid),
    case("AWS_USE_FIPS_ENDPOINT", "", Invalid),
    case("AWS_USE_DUALSTACK_ENDPOINT", "true", Valid),
    case("AWS_USE_DUALSTACK_ENDPOINT", "1", Invalid),
    case("AWS_USE_DUALSTACK_ENDPOINT", "", Invalid),
    case("AWS_SDK_UA_APP_ID", "my-app", Valid),
    case("AWS_SDK_UA_APP_ID", "my app", Invalid),
    case("AWS_SDK_UA_APP_ID", "", Invalid),
    case("AWS_MAX_ATTEMPTS", "5", Valid),
    case("AWS_MAX_ATTEMPTS", "0", Invalid),
    case("AWS_MAX_ATTEMPTS", "many", Invalid),
    case("AWS_MAX_ATTEMPTS", "", Invalid),
    case("AWS_RETRY_MODE", "adaptive", Valid),
    case("AWS_RETRY_MODE", "Standard", Valid),
    case("AWS_RETRY_MODE", "legacy", Invalid),
    case("AWS_RETRY_MODE", "", Invalid),
    case("AWS_NEW_RETRIES_2026", "true", Valid),
    case("AWS_NEW_RETRIES_2026", "false", Valid),
    case("AWS_NEW_RETRIES_2026", "yes", Invalid),
    case("AWS_NEW_RETRIES_2026", "", Invalid),
    case("AWS_DISABLE_REQUEST_COMPRESSION", "true", Valid),
    case("AWS_DISABLE_REQUEST_COMPRESSION", "yes", Invalid),
    case("AWS_DISABLE_REQUEST_COMPRESSION", "", Invalid),
    case("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "4096", Valid),
    case("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "4 KiB", Invalid),
    case("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "", Invalid),
    case("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "true", Valid),
    case("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "yes", Invalid),
    case("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "", Invalid),
    case("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED", Valid),
    case("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported", Valid),
    case("AWS_REQUEST_CHECKSUM_CALCULATION", "NEVER", Invalid),
    case("AWS_REQUEST_CHECKSUM_CALCULATION", "", Invalid),
    case("AWS_RESPONSE_CHECKSUM_VALIDATION", "WHEN_REQUIRED", Valid),
    case("AWS_RESPONSE_CHECKSUM_VALIDATION", "NEVER", Invalid),
    case("AWS_RESPONSE_CHECKSUM_VALIDATION", "", Invalid),
    case("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled", Valid),
    case("AWS_ACCOUNT_ID_ENDPOINT_MODE", "Required", Valid),
    case("AWS_ACCOUNT_ID_ENDPOINT_MODE", "off", Invalid),
    case("AWS_ACCOUNT_ID_ENDPOINT_MODE", "", Invalid),
    case("AWS_AUTH_SCHEME_PREFERENCE", "aws.auth#sigv4a, httpBearerAuth", Valid),
    case("AWS_AUTH_SCHEME_PREFERENCE", "sigv4a,,sigv4", Invalid),
    case("AWS_AUTH_SCHEME_PREFERENCE", "", Invalid),
    case("AWS_SIGV4A_SIGNING_REGION_SET", "us-east-1, us-west-2", Valid),
    case("AWS_SIGV4A_SIGNING_REGION_SET", ",", Invalid),
    case("AWS_SIGV4A_SIGNING_REGION_SET", "", Invalid),
    case("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", Valid),
    case("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "yes", Invalid),
    case("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "", Invalid),
    case("AWS_ENDPOINT_URL", "http://localhost:4566", Valid),
    case("AWS_ENDPOINT_URL", "store.example.com", Invalid),
    case("AWS_ENDPOINT_URL", "", Invalid),
    case("AWS_ENDPOINT_URL_S3", "http://localhost:9000", Valid),
    case("AWS_ENDPOINT_URL_S3", "store.example.com", Invalid),
    case("AWS_ENDPOINT_URL_S3", "", Invalid),
    case("AWS_ENDPOINT_URL_API_GATEWAY", "http://localhost:1", Valid),
    case("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true", Valid),
    case("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "", Invalid),
    case("AWS_BEARER_TOKEN_BEDROCK", "abc", Valid),
    case("AWS_BEARER_TOKEN_BEDROCK", "", Invalid),
];

impl Case {
    /// The variables of the child. `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` has an effect only on other variables.
    fn env(&self) -> Vec<(&str, &str)> {
        let mut env = self.base();
        env.push((self.variable, self.value));
        env
    }

    fn base(&self) -> Vec<(&str, &str)> {
        match self.variable {
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" => {
                vec![("AWS_ENDPOINT_URL", "http://localhost:4566"), ("AWS_ENDPOINT_URL_S3", "http://localhost:9000")]
            }
            _ => vec![],
        }
    }
}

/// The cells of the table for `load_defaults` and `sdk_config()`.
fn cells(case: &Case, base: &Compared, with: &Compared) -> [String; 2] {
    let effect = |fields, base| Some(changed(fields, base)).filter(|effect| !effect.is_empty());
    let loader = with.loader.as_ref().map_or_else(
        || "panics".to_owned(),
        |fields| effect(fields, base.loader.as_ref().unwrap()).unwrap_or_else(|| "no effect".to_owned()),
    );
    let ours = match (case.kind, effect(&with.ours, &base.ours)) {
        (Valid, _) if with.loader.as_ref() == Some(&with.ours) => "the same".to_owned(),
        (Invalid, None) => "unset, WARN".to_owned(),
        (_, effect) => effect.unwrap_or_else(|| "no effect".to_owned()),
    };
    [loader, ours]
}

#[test]
fn sdk_config_equals_load_defaults_for_every_variable() {
    let mut rows = Vec::new();
    for case in CASES {
        let name = format!("{}={:?}", case.variable, case.value);
        let (base, with) = (compare(&case.base()), compare(&case.env()));
        assert_same(base.loader.as_ref().unwrap(), &base.ours, &format!("without {name}"));
        assert_eq!(base.warnings, "", "without {name}");
        match case.kind {
            Valid => {
                assert_same(with.loader.as_ref().expect(&name), &with.ours, &name);
                assert_eq!(with.warnings, "", "{name}");
            }
            Invalid => {
                assert_same(&base.ours, &with.ours, &format!("{name} is not unset"));
                assert!(with.warnings.contains(case.variable), "{name}: no warning: {:?}", with.warnings);
            }
        }
        let [loader, ours] = cells(case, &base, &with);
        let value = if case.value.is_empty() { "(blank)".to_owned() } else { format!("`{}`", case.value) };
        rows.push([format!("`{}`", case.variable), value, loader, ours]);
    }
    page::compare_table(&rows);
}

/// Values in Kubernetes manifests often end with a line break. For aws-config it is a part of the value.
#[test]
fn sdk_config_trims_values() {
    let with = compare(&[("AWS_MAX_ATTEMPTS", "5\n"), ("AWS_REGION", " eu-central-1 ")]);
    assert_eq!(with.loader, None, "aws-config panics");
    assert_eq!((with.ours["attempts"].as_str(), with.ours["region"].as_str()), ("`5`", "`eu-central-1`"));
    assert_eq!(with.warnings, "");
}

#[test]
fn sdk_config_uses_the_default_region_if_the_region_is_blank() {
    let with = compare(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-central-1")]);
    assert_eq!((with.loader.unwrap()["region"].as_str(), with.ours["region"].as_str()), ("(blank)", "`eu-central-1`"));
    assert!(with.warnings.contains("AWS_REGION has a blank value"), "{}", with.warnings);
}
