//! Any text in place of a URI leads to an allowed address, to which the client then connects, or to an error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{assert_explains, fill};
use crate::error::{Error, ErrorKind};
use crate::source::pod_identity::endpoint::{ContainerEndpoint, check_address};
use crate::source::web_identity::sts_endpoint;
use crate::transport::{Host, HttpUrl};

const PASSWORD: &str = "fake-password-1";

/// Uses the input as a full and as a relative container credentials URI, as the URL of STS, and as an address.
pub fn uris(input: &[u8]) {
    addresses(input);
    let Ok(text) = String::from_utf8(fill(input, &[("{password}", PASSWORD)])) else { return };
    match ContainerEndpoint::full(&text) {
        Err(error) => assert_refused(&text, &error.into(), "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        Ok(endpoint) => {
            assert_parsed_alike(&text, endpoint.url());
            let literal = endpoint.url().host().address();
            let eks_agent = ["169.254.170.23", "fd00:ec2::23"].map(|agent| agent.parse().ok());
            assert_eq!(endpoint.is_eks_agent(), literal.is_some() && eks_agent.contains(&literal));
            assert!(endpoint.url().is_https() || literal.is_none_or(is_allowed), "{text} is {}", endpoint.url());
        }
    }
    match ContainerEndpoint::relative(&text) {
        Err(error) => assert_refused(&text, &error.into(), "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        Ok(endpoint) => {
            assert_parsed_alike(&format!("http://169.254.170.2{text}"), endpoint.url());
            assert_eq!(endpoint.url().origin(), "http://169.254.170.2", "{text} is {}", endpoint.url());
            assert!(!endpoint.is_eks_agent());
        }
    }
    match sts_endpoint::configured(&text) {
        Err(error) => assert_refused(&text, &error.into(), "sts_endpoint"),
        Ok(url) => assert_parsed_alike(&text, &url),
    }
}

/// The client connects to the address that was checked: this crate, the crate `http`, and the WHATWG parser of browsers and
/// reqwest find the same host and port in the same text.
fn assert_parsed_alike(text: &str, ours: &HttpUrl) {
    let uri = ours.uri();
    let scheme = if ours.is_https() { "https" } else { "http" };
    assert_eq!(uri.scheme_str(), Some(scheme));
    assert_eq!(uri.host(), Some(ours.host().to_string().as_str()));
    assert_eq!(uri.port_u16().unwrap_or(if ours.is_https() { 443 } else { 80 }), ours.port());
    assert!(!ours.authority().contains('@'), "{ours}");
    // The client connects to the address if the standard library can parse one, and else resolves the name.
    let dialled = uri.host().unwrap_or_default().trim_matches(['[', ']']).parse().ok();
    assert_eq!(dialled, ours.host().address());
    // Invalid Punycode is the only host that the other parser refuses and this one accepts. Such a name cannot be resolved.
    match url::Url::parse(text) {
        Ok(theirs) => {
            assert_eq!(theirs.scheme(), scheme, "{text}");
            assert_eq!(theirs.host().map(host), Some(ours.host().clone()), "{text}");
            assert_eq!(theirs.port_or_known_default(), Some(ours.port()), "{text}");
        }
        Err(error) => assert!(text.to_ascii_lowercase().contains("xn--"), "{text}: {error}"),
    }
}

fn host(theirs: url::Host<&str>) -> Host {
    match theirs {
        url::Host::Domain(name) => Host::Name(name.to_owned()),
        url::Host::Ipv4(ip) => Host::Address(ip.into()),
        url::Host::Ipv6(ip) => Host::Address(ip.into()),
    }
}

fn assert_refused(text: &str, error: &Error, name: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    let message = assert_explains(error, text.chars().count());
    assert!(message.contains(name), "{message}");
    let has_password = text.rfind('@').is_some_and(|at| text[..at].contains(PASSWORD));
    assert!(!has_password || !format!("{error:?}").contains(PASSWORD), "{error:?}");
}

/// Uses sixteen bytes as an address of each kind, and the input as the text of an address.
fn addresses(input: &[u8]) {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(input).for_each(|(byte, &from)| *byte = from);
    let v6 = u128::from_be_bytes(bytes);
    let written = std::str::from_utf8(input).ok().and_then(|text| text.parse().ok());
    let v4 = |bits: u128| IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32));
    let mapped = IpAddr::V6(Ipv6Addr::from_bits((v6 >> 96) | 0xffff_0000_0000));
    for ip in [v4(v6), IpAddr::V6(Ipv6Addr::from_bits(v6)), mapped].into_iter().chain(written) {
        assert_eq!(check_address(ip).is_ok(), is_allowed(ip), "{ip}");
    }
}

/// The allowed addresses, as numbers: 127.0.0.0/8, ::1, the IPv4 addresses of the ECS and the EKS agent, and the IPv6 address
/// of the EKS agent. See "5.2 Container credentials: allowed addresses" in `docs::protocols`.
fn is_allowed(ip: IpAddr) -> bool {
    let v4 = |bits: u32| bits >> 24 == 127 || bits == 0xa9fe_aa02 || bits == 0xa9fe_aa17;
    match ip {
        IpAddr::V4(ip) => v4(ip.to_bits()),
        IpAddr::V6(ip) => match ip.to_bits() {
            1 | 0xfd00_0ec2_0000_0000_0000_0000_0000_0023 => true,
            bits => bits >> 32 == 0xffff && v4(bits as u32),
        },
    }
}
