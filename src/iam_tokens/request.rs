//! The request that is presigned for a service: its parts, its lifetime, and the form of the token.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

const MINUTE: Duration = Duration::from_mins(1);

/// A GET request without a body for the path `/`, and what becomes of its URL.
#[derive(Debug)]
pub(super) struct Request {
    /// The name of the service in the scope of the signature.
    pub(super) service: &'static str,
    /// The host, with a port if the service signs it.
    pub(super) authority: String,
    pub(super) query: Query,
    /// A signed header, besides `Host`.
    pub(super) header: Option<(&'static str, String)>,
    pub(super) lifetime: Lifetime,
    pub(super) form: Form,
}

/// How long a token and its URL are valid, if the credentials last longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) token: Duration,
    /// `X-Amz-Expires`.
    pub(super) url: Duration,
}

impl Lifetime {
    /// The lifetime of the tokens of most services, which is that of the URL.
    pub(super) const QUARTER: Self = Self { token: Duration::from_mins(15), url: Duration::from_mins(15) };

    /// `aws eks get-token` reports 14 minutes, one less than EKS accepts, and signs a URL for 60 seconds, which EKS ignores.
    pub(super) const EKS: Self = Self { token: Duration::from_mins(14), url: MINUTE };

    /// The same lifetime, but not longer than `left`, in whole seconds. `None` if less than a second is left.
    pub(super) fn at_most(self, left: Duration) -> Option<Self> {
        let seconds = |lifetime: Duration| Duration::from_secs(lifetime.min(left).as_secs());
        let lifetime = Self { token: seconds(self.token), url: seconds(self.url) };
        (!lifetime.url.is_zero()).then_some(lifetime)
    }
}

/// How the token contains the URL.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// The URL without `https://`.
    Plain,
    /// The URL with `suffix` in base64url without padding, after `prefix`.
    Base64 { prefix: &'static str, suffix: &'static str },
}

impl Form {
    /// The token that contains `url`.
    pub(super) fn apply(self, url: Zeroizing<String>) -> Zeroizing<String> {
        const SCHEME: &str = "https://";
        let Self::Base64 { prefix, suffix } = self else { return url };
        let length = SCHEME.len().saturating_add(url.len()).saturating_add(suffix.len());
        let mut whole = Zeroizing::new(String::with_capacity(length));
        for part in [SCHEME, &url, suffix] {
            whole.push_str(part);
        }
        // Base64 needs four characters for three bytes. The capacity is larger, so that nothing is reallocated.
        let mut token = Zeroizing::new(String::with_capacity(prefix.len().saturating_add(length.saturating_mul(2))));
        token.push_str(prefix);
        BASE64_URL_SAFE_NO_PAD.encode_string(whole.as_bytes(), &mut token);
        token
    }
}

/// A query string, percent-encoded as Signature Version 4 requires: everything except the unreserved characters of RFC 3986. It
/// is wiped, because it can contain a session token.
#[derive(Clone, Default)]
pub(super) struct Query(Zeroizing<String>);

impl Query {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self::default().and(name, value)
    }

    /// Appends a parameter.
    pub(super) fn and(self, name: &str, value: &str) -> Self {
        // An encoded byte is three characters. With this capacity nothing is reallocated, which would leave a copy behind.
        let added = value.len().saturating_mul(3).saturating_add(name.len()).saturating_add(2);
        let mut query = Zeroizing::new(String::with_capacity(self.0.len().saturating_add(added)));
        query.push_str(&self.0);
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        push_encoded(&mut query, value);
        Self(query)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The parameters in the order of their names. No name is the beginning of another one.
    pub(super) fn sorted(&self) -> Zeroizing<String> {
        let mut params: Vec<&str> = self.0.split('&').collect();
        params.sort_unstable();
        Zeroizing::new(params.join("&"))
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(..)")
    }
}

fn push_encoded(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(query, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_encodes_all_but_unreserved_characters() {
        let all: String = (' '..='~').collect();
        let query = Query::new("a", &all).and("b", "é/+ ");
        assert_eq!(
            query.as_str(),
            "a=%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ%5B%5C\
             %5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~&b=%C3%A9%2F%2B%20"
        );
    }

    #[test]
    fn life_is_cut_to_whole_seconds_of_the_credentials() {
        let shortened = |lifetime: Lifetime, left| {
            lifetime.at_most(left).map(|lifetime| (lifetime.token.as_secs(), lifetime.url.as_secs()))
        };
        let millis = Duration::from_millis;
        assert_eq!(shortened(Lifetime::QUARTER, Duration::MAX), Some((900, 900)));
        assert_eq!(shortened(Lifetime::QUARTER, millis(899_999)), Some((899, 899)));
        assert_eq!(shortened(Lifetime::QUARTER, millis(1_000)), Some((1, 1)));
        assert_eq!(shortened(Lifetime::QUARTER, millis(999)), None);
        assert_eq!(shortened(Lifetime::EKS, Duration::MAX), Some((840, 60)));
        assert_eq!(shortened(Lifetime::EKS, millis(100_500)), Some((100, 60)));
        assert_eq!(shortened(Lifetime::EKS, millis(30_500)), Some((30, 30)));
    }
}
