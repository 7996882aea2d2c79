//! The URLs that requests can have: `http` and `https`, with a host that every HTTP client parses in the same way.
//!
//! The URL decides which server receives the pod's token. This parser therefore accepts only the syntax on which RFC 3986, the
//! WHATWG URL standard and `http::Uri` (which the HTTP clients use) agree. It refuses everything that they parse differently:
//! user names, backslashes, percent signs and other special characters in the host, and numbers that some clients parse as an
//! IPv4 address (`127.1`, `0x7f000001`). The fuzz target `uris` compares this parser with the WHATWG parser of the crate `url`.
#![allow(dead_code, reason = "which functions are used depends on the features")]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// The maximum length of a host name (RFC 1035).
const MAX_NAME: usize = 253;

/// An absolute URL of the scheme `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// Normalized: scheme and host are in lower case, and addresses have the format of the standard library.
    uri: Uri,
    host: Host,
    port: u16,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why a text is not an [`HttpUrl`]. Continues a sentence: "X=… is not a URL".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlError {
    Syntax,
    Scheme,
    /// The URL must not be shown with this error, because it may contain a password.
    UserInfo,
    Host,
    NumericHost,
    Port,
}

impl HttpUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Syntax)?;
        let scheme = scheme.to_ascii_lowercase();
        let https = match scheme.as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // Clients disagree on whether a backslash ends the host.
        if path.starts_with('\\') {
            return Err(UrlError::Syntax);
        }
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let normal = format!("{}{}{path}", origin(https, &host, port), if path.starts_with('/') { "" } else { "/" });
        // The fragment is not part of a request.
        let uri = normal.split('#').next().unwrap_or_default().parse().map_err(|_| UrlError::Syntax)?;
        Ok(Self { uri, host, port })
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&http::uri::Scheme::HTTPS)
    }

    /// Scheme, host and port, without the default port of the scheme: `https://sts.eu-central-1.amazonaws.com`.
    pub(crate) fn origin(&self) -> String {
        origin(self.is_https(), &self.host, self.port)
    }

    /// Host and port, as in the header `Host`.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }
}

/// The normalized URL, without the fragment.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

fn origin(https: bool, host: &Host, port: u16) -> String {
    match (https, port) {
        (true, 443) => format!("https://{host}"),
        (false, 80) => format!("http://{host}"),
        (true, port) => format!("https://{host}:{port}"),
        (false, port) => format!("http://{host}:{port}"),
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    // The colons of an IPv6 address are inside brackets.
    let after_address = authority.rfind(']').unwrap_or(0);
    let Some(colon) = authority.rfind(':').filter(|colon| *colon > after_address) else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(colon);
    match port.trim_start_matches(':') {
        "" if port.len() == 1 => Ok((host, None)),
        digits if port.len() == digits.len().saturating_add(1) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map(|port| (host, Some(port))).map_err(|_| UrlError::Port)
        }
        _ => Err(UrlError::Port),
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, UrlError> {
        if let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return inside.parse().map(|ip: Ipv6Addr| Self::Address(ip.into())).map_err(|_| UrlError::Host);
        }
        let is_name_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(is_name_char) {
            return Err(UrlError::Host);
        }
        let name = text.to_ascii_lowercase();
        let without_dot = name.strip_suffix('.').unwrap_or(&name);
        if without_dot.split('.').any(str::is_empty) {
            return Err(UrlError::Host);
        }
        if !without_dot.rsplit('.').next().is_some_and(is_number) {
            return Ok(Self::Name(name));
        }
        name.parse().map(|ip: Ipv4Addr| Self::Address(ip.into())).map_err(|_| UrlError::NumericHost)
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(ip) => Some(*ip),
        }
    }
}

/// Whether the last label of a host makes other clients parse the whole host as an IPv4 address (WHATWG URL, "ends in a
/// number").
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x");
    label.bytes().all(|b| b.is_ascii_digit()) || hex.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The host as part of a URL: an IPv6 address has brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "is not a URL",
            Self::Scheme => "is neither an http nor an https URL",
            Self::UserInfo => "must not contain a user name or password",
            Self::Host => {
                "has no valid host: expected a name of ASCII letters, digits, hyphens and dots, or an IP address"
            }
            Self::NumericHost => {
                "has a number for a host that clients read differently: write an IPv4 address as four decimal numbers"
            }
            Self::Port => "has an invalid port: expected a number up to 65535",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_normalized() {
        for (text, normal, origin, port) in [
            ("https://sts.example", "https://sts.example/", "https://sts.example", 443),
            ("HTTPS://STS.Example:443/a?b=c#d", "https://sts.example/a?b=c", "https://sts.example", 443),
            ("http://h:80?x", "http://h/?x", "http://h", 80),
            ("http://h:/", "http://h/", "http://h", 80),
            ("http://h:0080/", "http://h/", "http://h", 80),
            ("http://localhost:4566", "http://localhost:4566/", "http://localhost:4566", 4566),
            ("http://[FD00:EC2:0:0:0:0:0:23]/v1", "http://[fd00:ec2::23]/v1", "http://[fd00:ec2::23]", 80),
            (
                "http://169.254.170.2//evil.example/x",
                "http://169.254.170.2//evil.example/x",
                "http://169.254.170.2",
                80,
            ),
            ("http://sts.example./", "http://sts.example./", "http://sts.example.", 80),
        ] {
            let url = HttpUrl::parse(text).unwrap_or_else(|e| panic!("{text} {e}"));
            assert_eq!((url.to_string(), url.origin(), url.port()), (normal.into(), origin.into(), port), "{text}");
            assert_eq!(url.is_https(), origin.starts_with("https"), "{text}");
        }
    }

    #[test]
    fn url_that_clients_parse_differently_is_refused() {
        use UrlError::{Host, NumericHost, Port, Scheme, Syntax, UserInfo};
        for (text, expected) in [
            ("sts", Syntax),
            ("localhost:4566", Syntax),
            ("//host/", Syntax),
            ("ftp://host/", Scheme),
            ("http://", Host),
            ("http:///path", Host),
            ("http://me@host/", UserInfo),
            ("http://host\\@evil.example/", Syntax),
            ("http://127.0.0.1@evil.example/", UserInfo),
            ("http://ho st/", Host),
            ("http://h\u{f6}st/", Host),
            ("http://ho%73t/", Host),
            ("http://a..b/", Host),
            ("http://sts`.example", Host),
            ("http://127.1/", NumericHost),
            ("http://2130706433/", NumericHost),
            ("http://0x7f000001/", NumericHost),
            ("http://0177.0.0.1/", NumericHost),
            ("http://1.2.3.0x4/", NumericHost),
            ("http://127.0.0.1./", NumericHost),
            ("http://[::1/", Host),
            ("http://[fe80::1%eth0]/", Host),
            ("http://[127.0.0.1]/", Host),
            ("http://host:65536/", Port),
            ("http://host:x/", Port),
            ("http://host:+1/", Port),
            ("http://host::80/", Host),
            ("http://host/a b", Syntax),
            ("http://host/\u{1}", Syntax),
        ] {
            assert_eq!(HttpUrl::parse(text).map(|url| url.to_string()), Err(expected), "{text}");
        }
    }
}
