//! The names of the environment variables that this crate knows, and how errors show their values.

pub(crate) const ROLE_ARN: &str = "AWS_ROLE_ARN";
pub(crate) const WEB_IDENTITY_TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
pub(crate) const ROLE_SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
pub(crate) const CONTAINER_RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
pub(crate) const CONTAINER_FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
pub(crate) const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
pub(crate) const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
pub(crate) const REGION: &str = "AWS_REGION";
pub(crate) const DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
pub(crate) const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
pub(crate) const ENDPOINT_URL_STS: &str = "AWS_ENDPOINT_URL_STS";
pub(crate) const IGNORE_ENDPOINT_URLS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
pub(crate) const USE_FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
pub(crate) const USE_DUALSTACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";
pub(crate) const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
pub(crate) const SOURCE: &str = "EKS_CREDENTIALS_SOURCE";
pub(crate) const HOSTNAME: &str = "HOSTNAME";
pub(crate) const HTTPS_PROXY: &str = "HTTPS_PROXY";
pub(crate) const ALL_PROXY: &str = "ALL_PROXY";
pub(crate) const NO_PROXY: &str = "NO_PROXY";
/// Not used. `diagnose` reports that some AWS SDKs use it.
pub(crate) const HTTP_PROXY: &str = "HTTP_PROXY";
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(crate) const STS_REGIONAL_ENDPOINTS: &str = "AWS_STS_REGIONAL_ENDPOINTS";

/// The snapshot contains only whether these are set, not their values.
pub(crate) const STATIC_KEYS: [&str; 4] =
    [ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"];

/// Variables that AWS SDKs read and this crate does not. They are for static keys, profile files, IMDS and the global STS
/// endpoint.
pub(crate) const NOT_READ: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ACCOUNT_ID",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    STS_REGIONAL_ENDPOINTS,
];

/// The variables in the snapshot whose names do not begin with `AWS_`.
pub(crate) const OTHERS: [&str; 10] = [
    SOURCE,
    HOSTNAME,
    HTTPS_PROXY,
    ALL_PROXY,
    NO_PROXY,
    HTTP_PROXY,
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// A URL for an error message. Any text with an "@" is hidden, because an invalid URL may contain a password too.
pub(crate) fn without_password(url: &str) -> &str {
    if url.contains('@') { "[not shown: it may contain a password]" } else { url }
}
