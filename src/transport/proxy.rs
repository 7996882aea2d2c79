//! The proxy for https, from the environment's snapshot.

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

/// What must be encoded in a user name or password (RFC 3986, userinfo). A percent sign begins what is encoded already.
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

/// The proxy variables as they were when the snapshot was taken. The URL may hold a password.
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

    /// Whether `NO_PROXY` names the host of `url`.
    pub(super) fn is_bypassed_for(&self, url: &HttpUrl) -> bool {
        self.no_proxy.as_deref().is_some_and(|list| no_proxy::names(list, url.host(), url.port()))
    }

    /// For messages.
    pub(super) fn used(&self) -> ProxyUsed {
        let address =
            self.split().ok().and_then(|(scheme, _, host)| HttpUrl::parse(&format!("{scheme}://{host}")).ok());
        let address = address.map_or_else(|| "[not shown: it is not a proxy URL]".to_owned(), |url| url.origin());
        ProxyUsed { variable: self.variable.clone(), address }
    }

    /// The URL to use, with the user name and password in it.
    ///
    /// # Errors
    ///
    /// If the URL cannot be used, or names a kind of proxy that is not supported. The value is not shown.
    pub(super) fn uri(&self) -> Result<Uri, Setting> {
        let (scheme, login, host) = self.split()?;
        let address = HttpUrl::parse(&format!("{scheme}://{host}")).map_err(|_| self.error(A_URL))?;
        let login = login.map(|login| Zeroizing::new(format!("{}@", utf8_percent_encode(login, NOT_IN_USERINFO))));
        let login = login.as_deref().map_or("", String::as_str);
        // With its port in any case: clients differ in what they take for the default.
        let uri = Zeroizing::new(format!("{scheme}://{login}{}:{}/", address.host(), address.port()));
        uri.parse().map_err(|_| self.error(A_URL))
    }

    /// Scheme, user name and password, host and port.
    fn split(&self) -> Result<(&str, Option<&str>, &str), Setting> {
        let is_http = |scheme: &str| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
        if self.url.split_once("://").is_some_and(|(scheme, _)| !is_http(scheme)) {
            return Err(self.error("an http proxy, the only kind that is supported"));
        }
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("http", &self.url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        // A password may contain an "@" too.
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        Ok((scheme, login, host))
    }

    pub(super) fn error(&self, expected: &'static str) -> Setting {
        Setting::Proxy { variable: self.variable.clone(), expected }
    }
}

/// The variable only.
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
    fn proxy_url_is_read_in_every_usual_form() {
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
