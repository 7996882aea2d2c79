//! Every `AWS_…` in the source code of aws-config. A new variable in an update of aws-config makes these tests fail.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eks_credentials::{BehaviorVersion, EksCredentialsProvider};

use crate::cases::CASES;
use crate::child::logged;
use crate::page::names_below;

/// `sdk_config()` applies it as `ConfigLoader` does.
const APPLIED: &[&str] = &[
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_AUTH_SCHEME_PREFERENCE",
    "AWS_DEFAULT_REGION",
    "AWS_DISABLE_CLOCK_SKEW_CORRECTION",
    "AWS_DISABLE_REQUEST_COMPRESSION",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_NEW_RETRIES_2026",
    "AWS_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "AWS_RETRY_MODE",
    "AWS_SDK_UA_APP_ID",
    "AWS_SIGV4A_SIGNING_REGION_SET",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
];

/// The provider itself reads it, for IRSA or EKS Pod Identity.
const OF_THE_SOURCE: &[&str] = &[
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Not read by design. They are logged once at DEBUG, and reported by `diagnose()`.
const NOT_READ: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCOUNT_ID",
    "AWS_CONFIG_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_PROFILE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// Not a setting of `ConfigLoader`.
const IRRELEVANT: &[(&str, &str)] = &[
    ("AWS_CHUNKED", "a constant"),
    ("AWS_EXECUTION_ENV", "read by every SDK client itself, with either configuration"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS_ENDPOINT", "a mistake in a comment: the variable has no _ENDPOINT"),
    ("AWS_LAMBDA_FUNCTION_NAME", "read by every SDK client itself, with either configuration"),
    ("AWS_SDK_RUST_BUILD_UA_METADATA", "read by the compiler"),
    ("AWS_SOME_KEY", "used in tests of the SDK"),
    ("AWS_SOME_KEY_ANOTHER_SERVICE", "used in tests of the SDK"),
    ("AWS_SOME_KEY_EC2", "used in tests of the SDK"),
    ("AWS_SOME_KEY_S3", "used in tests of the SDK"),
    ("AWS_SOME_KEY_SERVICE", "used in tests of the SDK"),
];

/// The source folder of a package that this build uses.
fn folder(metadata: &serde_json::Value, package: &str) -> PathBuf {
    let packages = metadata["packages"].as_array().unwrap();
    let found: Vec<_> = packages.iter().filter(|candidate| candidate["name"] == package).collect();
    assert_eq!(found.len(), 1, "one version of {package}");
    Path::new(found[0]["manifest_path"].as_str().unwrap()).parent().unwrap().join("src")
}

fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            found.extend(words.filter(|word| word.len() > 4 && word.starts_with("AWS_")).map(str::to_owned));
        }
    }
}

#[test]
fn classified_variables_are_those_of_aws_config() {
    // Without the filter, cargo requires the crates of every platform, which may not be downloaded.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = BTreeSet::new();
    for package in ["aws-config", "aws-runtime"] {
        names(&folder(&metadata, package), &mut found);
    }
    let irrelevant = IRRELEVANT.iter().map(|(name, _)| name);
    let classified = APPLIED.iter().chain(OF_THE_SOURCE).chain(NOT_READ).chain(irrelevant);
    let classified: BTreeSet<_> = classified.map(|name| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&classified).collect();
    assert!(new.is_empty(), "new in aws-config; classify them here, and apply or document them: {new:?}");
    let gone: Vec<_> = classified.difference(&found).collect();
    assert!(gone.is_empty(), "no longer in aws-config: {gone:?}");
}

#[test]
fn classified_variables_are_those_of_the_page_and_the_cases() {
    let cases: BTreeSet<_> = CASES.iter().map(|case| case.variable).collect();
    let page = names_below("Variables that are applied");
    assert_eq!(
        page.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        cases,
        "the page and the compared variables differ"
    );
    for variable in APPLIED {
        let values = || CASES.iter().filter(|case| case.variable == *variable);
        let kinds: Vec<_> = values().map(|case| case.kind).collect();
        assert!(kinds.contains(&crate::cases::Value::Valid), "{variable} is compared with a valid value");
        assert!(values().any(|case| case.value.is_empty()), "{variable} is compared with a blank value");
    }
    let on_page = |heading| names_below(heading).into_iter().collect::<BTreeSet<_>>();
    let sorted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    // Variables of other SDKs, which aws-config does not read.
    let others = ["AWS_SECURITY_TOKEN", "AWS_STS_REGIONAL_ENDPOINTS"];
    assert_eq!(on_page("Variables that are not read"), sorted(&[NOT_READ, &others].concat()));
    assert_eq!(on_page("Variables of the credential source"), sorted(OF_THE_SOURCE));
}

#[test]
fn sdk_config_logs_variables_that_are_not_read_once() {
    let secret = "very-secret";
    let env = NOT_READ.iter().map(|name| (*name, secret)).chain([("AWS_REGION", "eu-central-1")]);
    let provider = EksCredentialsProvider::builder().env(env).build().unwrap();
    let build = || provider.sdk_config(BehaviorVersion::latest()).build();
    let (config, log) = logged(tracing::Level::TRACE, build);
    for name in NOT_READ {
        assert!(log.contains(&format!("\"{name}\"")), "{name}: {log}");
    }
    let (_, again) = logged(tracing::Level::TRACE, build);
    assert_eq!(again, "");
    let shown = format!("{log} {config:?} {provider:?}");
    assert!(!shown.contains(secret), "{shown}");
}
