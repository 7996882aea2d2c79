//! Whatever stands where a URI should: a place that may be asked, and that the client dials too, or an error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use super::{assert_explains, fill};
use crate::error::{Error, ErrorKind};
use crate::source::container_endpoint::{ContainerEndpoint, vet};
use crate::source::sts_endpoint;

const PASSWORD: &str = "fake-password-1";

/// The input as a container credentials URI, whole and relative, as STS's URL, and as an address.
pub fn uris(input: &[u8]) {
    addresses(input);
    let Ok(text) = String::from_utf8(fill(input, &[("{password}", PASSWORD)])) else { return };
    match ContainerEndpoint::full(&text) {
        Err(error) => assert_refused(&text, &error, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        Ok(endpoint) => {
            assert_dialled(endpoint.url());
            assert_eq!(endpoint.is_tls(), endpoint.url().scheme() == "https");
            let literal = literal(endpoint.url());
            let eks_agent = ["169.254.170.23", "fd00:ec2::23"].map(|agent| agent.parse().ok());
            assert_eq!(endpoint.is_eks_agent(), literal.is_some() && eks_agent.contains(&literal));
            assert!(endpoint.is_tls() || literal.is_none_or(may_be_asked), "{text} is {}", endpoint.url());
        }
    }
    match ContainerEndpoint::relative(&text) {
        Err(error) => assert_refused(&text, &error, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        Ok(endpoint) => {
            assert_dialled(endpoint.url());
            assert!(endpoint.url().as_str().starts_with("http://169.254.170.2/"), "{text} is {}", endpoint.url());
            assert!(!endpoint.is_eks_agent() && !endpoint.is_tls());
        }
    }
    match sts_endpoint::configured(&text) {
        Err(error) => assert_refused(&text, &error, "sts_endpoint"),
        Ok(url) => assert_dialled(&url),
    }
}

/// What was checked is what the client dials: `url` and `http` read the same place out of the same text.
fn assert_dialled(url: &Url) {
    let uri: http::Uri = url.as_str().parse().unwrap_or_else(|e| panic!("{url} is accepted, and cannot be asked: {e}"));
    assert_eq!((uri.scheme_str(), uri.host()), (Some(url.scheme()), url.host_str()));
    assert_eq!(uri.port_u16(), url.port());
    assert!(["http", "https"].contains(&url.scheme()) && !url.authority().contains('@'), "{url}");
    // The connector takes for an address whatever the standard library does: then the URL must have been one, too.
    let dialled = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').parse().ok();
    assert_eq!(dialled, literal(url));
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Domain(_) => None,
        url::Host::Ipv4(ip) => Some(ip.into()),
        url::Host::Ipv6(ip) => Some(ip.into()),
    }
}

fn assert_refused(text: &str, error: &Error, name: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    let message = assert_explains(error, text.chars().count());
    assert!(message.contains(name), "{message}");
    let has_password = text.rfind('@').is_some_and(|at| text[..at].contains(PASSWORD));
    assert!(!has_password || !format!("{error:?}").contains(PASSWORD), "{error:?}");
}

/// Sixteen bytes are an address of each kind, and text may be one.
fn addresses(input: &[u8]) {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(input).for_each(|(byte, &from)| *byte = from);
    let v6 = u128::from_be_bytes(bytes);
    let written = std::str::from_utf8(input).ok().and_then(|text| text.parse().ok());
    let v4 = |bits: u128| IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32));
    let mapped = IpAddr::V6(Ipv6Addr::from_bits((v6 >> 96) | 0xffff_0000_0000));
    for ip in [v4(v6), IpAddr::V6(Ipv6Addr::from_bits(v6)), mapped].into_iter().chain(written) {
        assert_eq!(vet(ip).is_ok(), may_be_asked(ip), "{ip}");
    }
}

/// The rule of PROTOCOLS in numbers: 127.0.0.0/8, ::1, the two agents' IPv4 addresses and the one IPv6 address.
fn may_be_asked(ip: IpAddr) -> bool {
    let v4 = |bits: u32| bits >> 24 == 127 || bits == 0xa9fe_aa02 || bits == 0xa9fe_aa17;
    match ip {
        IpAddr::V4(ip) => v4(ip.to_bits()),
        IpAddr::V6(ip) => match ip.to_bits() {
            1 | 0xfd00_0ec2_0000_0000_0000_0000_0000_0023 => true,
            bits => bits >> 32 == 0xffff && v4(bits as u32),
        },
    }
}
