//! A snapshot of the process environment: taken once, read by pure code.
//!
//! Only the variables that this crate knows are copied, so that a secret in some other variable never gets here.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::Error;

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
#[cfg(any(feature = "irsa", feature = "testing"))]
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
/// Not read but to say that other SDKs would.
pub(crate) const HTTP_PROXY: &str = "HTTP_PROXY";
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

const KNOWN: [&str; 24] = [
    ROLE_ARN,
    WEB_IDENTITY_TOKEN_FILE,
    ROLE_SESSION_NAME,
    CONTAINER_RELATIVE_URI,
    CONTAINER_FULL_URI,
    CONTAINER_TOKEN_FILE,
    CONTAINER_TOKEN,
    REGION,
    DEFAULT_REGION,
    IGNORE_ENDPOINT_URLS,
    USE_FIPS,
    USE_DUALSTACK,
    CA_BUNDLE,
    SOURCE,
    HOSTNAME,
    HTTPS_PROXY,
    ALL_PROXY,
    NO_PROXY,
    HTTP_PROXY,
    ACCESS_KEY_ID,
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// The known variables as they were when the snapshot was taken. Clones share it: one of them may hold a token.
#[derive(Clone, Default)]
pub(crate) struct Env(Arc<HashMap<String, Value>>);

enum Value {
    Text(Zeroizing<String>),
    NotUnicode,
}

impl Env {
    pub(crate) fn from_process() -> Self {
        Self::from_os(std::env::vars_os())
    }

    pub(crate) fn from_os(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let known = vars.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| is_known(name))?;
            let value = value.into_string().map_or(Value::NotUnicode, |text| Value::Text(Zeroizing::new(text)));
            Some((name, value))
        });
        Self(Arc::new(known.collect()))
    }

    /// The value without surrounding blanks; an empty one counts as unset, as in every AWS SDK.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(Value::NotUnicode) => Err(Error::invalid(format!("{name} is not valid UTF-8: set it to plain text"))),
        }
    }

    /// `true` or `false` in any case; unset is false.
    #[cfg(any(feature = "irsa", feature = "sdk-config", feature = "diagnose"))]
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name)? {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(Error::invalid(format!("{name}=\"{value}\" is neither \"true\" nor \"false\""))),
        }
    }

    /// The first of `names` that is set, with its name.
    #[cfg(any(feature = "__tls", feature = "sdk-config", feature = "diagnose"))]
    pub(crate) fn first_of<'a>(&self, names: &[&'a str]) -> Result<Option<(&'a str, &str)>, Error> {
        for name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }
}

/// A URL for an error message. What cannot be parsed may still hold a password.
pub(crate) fn without_password(url: &str) -> &str {
    if url.contains('@') { "[not shown, for it may hold a password]" } else { url }
}

/// `AWS_ENDPOINT_URL_<SERVICE>` exists for every service, hence the prefix.
fn is_known(name: &str) -> bool {
    name.starts_with(ENDPOINT_URL) || KNOWN.contains(&name)
}

/// The names only: `AWS_CONTAINER_AUTHORIZATION_TOKEN` is a secret.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.keys().collect();
        names.sort();
        f.debug_tuple("Env").field(&names).finish()
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(vars: [(&str, &str); N]) -> Self {
        Self::from_os(vars.map(|(name, value)| (name.into(), value.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_trimmed_and_empty_is_unset() {
        let env = Env::from([(ROLE_ARN, "  arn "), (REGION, " "), (DEFAULT_REGION, "")]);
        let values = [ROLE_ARN, REGION, DEFAULT_REGION, SOURCE].map(|name| env.get(name).unwrap());
        assert_eq!(values, [Some("arn"), None, None, None]);
    }

    #[test]
    fn unknown_variables_are_not_even_copied_and_debug_shows_names_only() {
        let env = Env::from([("DATABASE_PASSWORD", "hunter2"), (CONTAINER_TOKEN, "very-secret")]);
        assert_eq!(format!("{env:?}"), r#"Env(["AWS_CONTAINER_AUTHORIZATION_TOKEN"])"#);
    }

    #[cfg(any(feature = "irsa", feature = "sdk-config"))]
    #[test]
    fn flags_are_true_false_or_an_error_that_shows_the_value() {
        let env = Env::from([(USE_FIPS, "True"), (USE_DUALSTACK, "1")]);
        assert!(env.flag(USE_FIPS).unwrap());
        assert!(!env.flag(IGNORE_ENDPOINT_URLS).unwrap());
        let error = env.flag(USE_DUALSTACK).unwrap_err().to_string();
        assert_eq!(error, r#"AWS_USE_DUALSTACK_ENDPOINT="1" is neither "true" nor "false""#);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf8_is_an_error_not_unset() {
        use std::os::unix::ffi::OsStringExt as _;
        let env = Env::from_os([(ROLE_ARN.into(), OsString::from_vec(vec![0xff]))]);
        assert!(env.get(ROLE_ARN).unwrap_err().to_string().starts_with("AWS_ROLE_ARN is not valid UTF-8"));
    }
}
