//! The proxy for https, from the snapshot of the environment.

mod no_proxy;
mod tunnel;

use std::fmt;

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::url::HttpUrl;
use crate::env::{self, Env};
use crate::error::problem::peer::ProxyUsed;
use crate::error::problem::setting::Setting;
pub(super) use tunnel::ThroughProxy;

/// The characters that must be percent-encoded in a user name or password (RFC 3986, userinfo). Percent signs are kept, because
/// the value may already be encoded.
const NOT_IN_USERINFO: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'%');

pub(super) const A_URL: &str = "a proxy URL";

/// The proxy variables of the snapshot. The URL may contain a password.
#[derive(Clone)]
pub(crate) struct ProxySettings {
    variable: String,
    url: Zeroizing<String>,
    no_proxy: Option<String>,
}

impl ProxySettings {
    pub(super) fn from_env(env: &Env) -> Result<Option<Self>, Setting> {
        let no_proxy = env.first_of(&[env::NO_PROXY, "no_proxy"])?.map(|(_, hosts)| hosts.to_owned());
        let proxy = env.first_of(&[env::HTTPS_PROXY, "https_proxy", env::ALL_PROXY, "all_proxy"])?;
        Ok(proxy.map(|(variable, url)| Self {
            variable: variable.to_owned(),
            url: Zeroizing::new(url.to_owned()),
            no_proxy,
        }))
    }

    /// Whether `NO_PROXY` contains the host of `url`.
    pub(super) fn is_bypassed_for(&self, url: &HttpUrl) -> bool {
        self.no_proxy.as_deref().is_some_and(|list| no_proxy::names(list, url.host(), url.port()))
    }

    /// The proxy as error messages describe it, without the password.
    pub(super) fn used(&self) -> ProxyUsed {
        let address =
            self.split().ok().and_then(|(scheme, _, host)| HttpUrl::parse(&format!("{scheme}://{host}")).ok());
        let address = address.map_or_else(|| "[not shown: it is not a proxy URL]".to_owned(), |url| url.origin());
        ProxyUsed { variable: self.variable.clone(), address }
    }

    /// The URL of the proxy, with the user name and password.
    ///
    /// # Errors
    ///
    /// If the URL is not valid, or if its scheme is not supported. The error does not contain the URL.
    pub(super) fn uri(&self) -> Result<Uri, Setting> {
        let (scheme, login, host) = self.split()?;
        let address = HttpUrl::parse(&format!("{scheme}://{host}")).map_err(|_| self.error(A_URL))?;
        let login = login.map(|login| Zeroizing::new(format!("{}@", utf8_percent_encode(login, NOT_IN_USERINFO))));
        let login = login.as_deref().map_or("", String::as_str);
        // Always with the port, because HTTP clients have different default ports for proxies.
        let uri = Zeroizing::new(format!("{scheme}://{login}{}:{}/", address.host(), address.port()));
        uri.parse().map_err(|_| self.error(A_URL))
    }

    /// Splits the URL into the scheme, the user name with the password, and the host with the port.
    fn split(&self) -> Result<(&str, Option<&str>, &str), Setting> {
        let is_http = |scheme: &str| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
        if self.url.split_once("://").is_some_and(|(scheme, _)| !is_http(scheme)) {
            return Err(self.error("an http proxy, the only kind that is supported"));
        }
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("http", &self.url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        // The password may contain an "@".
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        Ok((scheme, login, host))
    }

    pub(super) fn error(&self, expected: &'static str) -> Setting {
        Setting::Proxy { variable: self.variable.clone(), expected }
    }
}

/// Shows only the name of the variable.
impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings").field("variable", &self.variable).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<String, String> {
        let settings =
            ProxySettings { variable: "HTTPS_PROXY".to_owned(), url: Zeroizing::new(url.to_owned()), no_proxy: None };
        settings.uri().map(|uri| uri.to_string()).map_err(|error| error.observed())
    }

    #[test]
    fn proxy_url_is_parsed_in_every_usual_form() {
        for (url, expected) in [
            ("http://proxy:3128", "http://proxy:3128/"),
            ("proxy:3128", "http://proxy:3128/"),
            ("proxy", "http://proxy:80/"),
            ("HTTP://Proxy.example.com/", "http://proxy.example.com:80/"),
            ("https://proxy", "https://proxy:443/"),
            ("http://[::1]:3128", "http://[::1]:3128/"),
            ("http://me:pw@proxy:3128", "http://me:pw@proxy:3128/"),
            ("http://me:p@ss@proxy:3128", "http://me:p%40ss@proxy:3128/"),
            ("http://me:p^|{} \"\u{e9}@proxy:3128", "http://me:p%5E%7C%7B%7D%20%22%C3%A9@proxy:3128/"),
            ("http://me:p%40ss@proxy:3128", "http://me:p%40ss@proxy:3128/"),
        ] {
            assert_eq!(parsed(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn proxy_url_with_a_bad_host_or_port_is_refused() {
        for url in ["http://proxy:312800", "proxy:31x8", "http://me:pw@proxy:312800", "http://", "http://:3128", "a b"]
        {
            let message = parsed(url).unwrap_err();
            assert!(message.starts_with("HTTPS_PROXY is not a proxy URL"), "{message}");
            assert!(!message.contains("pw"), "{message}");
        }
        assert!(parsed("socks5://proxy").unwrap_err().contains("the only kind that is supported"));
    }
}
