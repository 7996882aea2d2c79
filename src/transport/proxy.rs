//! The proxy for https, from the environment's snapshot.

use std::fmt;

use http::Uri;

use crate::env::{self, Env};
use crate::error::Error;

pub(super) const A_URL: &str = "a proxy URL";

/// The proxy variables as they were when the snapshot was taken. The URL may hold a password.
#[derive(Clone)]
pub(crate) struct ProxySettings {
    variable: String,
    url: zeroize::Zeroizing<String>,
    no_proxy: Option<String>,
}

/// A proxy that can be used.
pub(super) struct Proxy<'a> {
    pub(super) uri: Uri,
    /// The hosts that are reached without it, separated by commas.
    pub(super) no_proxy: Option<&'a str>,
}

impl ProxySettings {
    pub(super) fn from_env(env: &Env) -> Result<Option<Self>, Error> {
        let no_proxy = env.first_of(&[env::NO_PROXY, "no_proxy"])?.map(|(_, hosts)| hosts.to_owned());
        let proxy = env.first_of(&[env::HTTPS_PROXY, "https_proxy", env::ALL_PROXY, "all_proxy"])?;
        Ok(proxy.map(|(variable, url)| Self {
            variable: variable.to_owned(),
            url: zeroize::Zeroizing::new(url.to_owned()),
            no_proxy,
        }))
    }

    /// # Errors
    ///
    /// If the URL cannot be used, or names a kind of proxy that is not supported. The value is not shown.
    pub(super) fn parse(&self) -> Result<Proxy<'_>, Error> {
        let is_http = |scheme: &str| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
        if self.url.split_once("://").is_some_and(|(scheme, _)| !is_http(scheme)) {
            return Err(self.error("an http proxy, the only kind that is supported"));
        }
        let scheme = if self.url.contains("://") { "" } else { "http://" };
        let uri: Uri = format!("{scheme}{}", *self.url).parse().map_err(|_| self.error(A_URL))?;
        let has_port = |uri: &Uri| uri.port().is_some() || uri.authority().is_some_and(|a| !a.as_str().ends_with(':'));
        if uri.host().is_none_or(str::is_empty) || !has_port(&uri) {
            return Err(self.error(A_URL));
        }
        Ok(Proxy { uri, no_proxy: self.no_proxy.as_deref() })
    }

    pub(super) fn error(&self, expected: &str) -> Error {
        Error::invalid(format!("{} is not {expected}; expected e.g. http://proxy.example.com:3128", self.variable))
    }
}

/// The variable only.
impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings").field("variable", &self.variable).finish_non_exhaustive()
    }
}
