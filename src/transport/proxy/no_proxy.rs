//! `NO_PROXY`: the hosts that are reached without the proxy.
//!
//! There is no standard for its syntax. Every form that curl, Go, Python or libproxy accepts is accepted here:
//! - a name, with or without a leading dot or `*.`, which includes its subdomains
//! - an IP address, with or without brackets for IPv6, or a network
//! - each of these with a port
//! - commas or whitespace as separators

use std::net::IpAddr;

use super::super::url::Host;

/// Whether `list` contains the host.
pub(super) fn names(list: &str, host: &Host, port: u16) -> bool {
    let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    entries.map(Entry::parse).any(|entry| entry.names(host, port))
}

struct Entry<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Entry<'a> {
    fn parse(entry: &'a str) -> Self {
        // In an IPv6 address without brackets, no colon begins a port.
        if entry.parse::<IpAddr>().is_ok() {
            return Self { host: entry, port: None };
        }
        if let Some((host, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            return Self { host, port: rest.strip_prefix(':').and_then(|port| port.parse().ok()) };
        }
        match entry.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => match port.parse() {
                Ok(port) => Self { host, port: Some(port) },
                Err(_) => Self { host: entry, port: None },
            },
            _ => Self { host: entry, port: None },
        }
    }

    fn names(&self, host: &Host, port: u16) -> bool {
        if self.port.is_some_and(|named| named != port) {
            return false;
        }
        match host {
            _ if self.host == "*" => true,
            Host::Name(name) => is_below(name, self.host),
            Host::Address(ip) => match self.host.split_once('/') {
                Some((network, bits)) => is_in(*ip, network, bits),
                None => self.host.parse() == Ok(*ip),
            },
        }
    }
}

/// Whether `name` is `domain` or one of its subdomains.
fn is_below(name: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('*').unwrap_or(domain);
    let domain = domain.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let rest = name.strip_suffix(&domain);
    !domain.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether the first `bits` bits of `ip` and `network` are the same.
fn is_in(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse(), bits.parse::<u32>()) else { return false };
    let same = |difference: u128, length: u32| {
        let rest = length.checked_sub(bits);
        rest.is_some_and(|rest| difference.checked_shr(rest).unwrap_or_default() == 0)
    };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => same(u128::from(ip.to_bits() ^ network.to_bits()), 32),
        (IpAddr::V6(ip), IpAddr::V6(network)) => same(ip.to_bits() ^ network.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::url::HttpUrl;
    use super::*;

    fn is_named(list: &str, url: &str) -> bool {
        let url = HttpUrl::parse(url).unwrap();
        names(list, url.host(), url.port())
    }

    #[test]
    fn no_proxy_accepts_every_form_that_other_tools_accept() {
        const STS: &str = "https://sts.eu-central-1.amazonaws.com";
        for (list, url, expected) in [
            ("*", STS, true),
            ("sts.eu-central-1.amazonaws.com", STS, true),
            ("STS.EU-Central-1.amazonaws.com.", STS, true),
            ("amazonaws.com", STS, true),
            (".amazonaws.com", STS, true),
            ("*.amazonaws.com", STS, true),
            ("*.amazonaws.com", "https://amazonaws.com", true),
            ("zonaws.com", STS, false),
            ("*", "https://10.0.0.1", true),
            ("example.com", STS, false),
            (".", STS, false),
            ("", STS, false),
            ("sts.eu-central-1.amazonaws.com:443", STS, true),
            ("sts.eu-central-1.amazonaws.com:8443", STS, false),
            (".amazonaws.com:443", STS, true),
            ("localhost,amazonaws.com", STS, true),
            ("localhost amazonaws.com", STS, true),
            (" localhost ,\tamazonaws.com ", STS, true),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.1.2.3/32", "https://10.1.2.3", true),
            ("0.0.0.0/0", "https://11.1.2.3", true),
            ("10.0.0.0/33", "https://10.0.0.0", false),
            ("10.0.0.0/x", "https://10.0.0.0", false),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("10.1.2.3:443", "https://10.1.2.3", true),
            ("10.1.2.3:80", "https://10.1.2.3", false),
            ("::1", "https://[::1]", true),
            ("[::1]", "https://[::1]", true),
            ("[::1]:443", "https://[::1]", true),
            ("[::1]:80", "https://[::1]", false),
            ("fd00::/8", "https://[fd00:ec2::23]", true),
            ("[fd00::]", "https://[fd00:ec2::23]", false),
            ("::/0", "https://10.1.2.3", false),
        ] {
            assert_eq!(is_named(list, url), expected, "{list:?} {url}");
        }
    }
}
