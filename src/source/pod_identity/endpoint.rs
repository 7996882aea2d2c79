//! The endpoint in `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`, and the addresses that it
//! may have.
//!
//! Plain http sends the pod's token in clear text. As in the AWS SDKs, it is therefore only allowed to loopback addresses and
//! to the link-local addresses of the ECS and EKS agents. A literal address is checked here. A host name is checked when it is
//! resolved: the resolver calls [`check_address`] for each of its addresses. See "5.2 Container credentials: allowed addresses"
//! in `docs::protocols`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::env;
use crate::error::problem::peer::{Peer, Server};
use crate::error::problem::setting::Setting;
use crate::transport::{HttpUrl, HttpsSettings};

/// The ECS agent, which serves relative URIs.
const ECS_AGENT_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// The EKS Pod Identity agent.
const EKS_AGENT_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
/// The EKS Pod Identity agent on IPv6 clusters.
const EKS_AGENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);

/// An endpoint for container credentials. If its host is a literal address, the address is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerEndpoint {
    url: HttpUrl,
    /// The variable that it comes from.
    setting: &'static str,
}

impl ContainerEndpoint {
    /// A path at the fixed address of the ECS agent.
    pub(crate) fn relative(path: &str) -> Result<Self, Setting> {
        if !path.starts_with('/') {
            return Err(Setting::ContainerUri {
                setting: env::CONTAINER_RELATIVE_URI,
                shown: crate::variable::without_password(path).to_owned(),
                why: "is not a path".to_owned(),
                remedy: "begin it with \"/\", or set the whole URL in AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
            });
        }
        Self::parse(env::CONTAINER_RELATIVE_URI, &format!("http://{ECS_AGENT_V4}{path}"))
    }

    /// A complete URL. `https` is allowed to every host, `http` only to the addresses in [`ALLOWED`].
    pub(crate) fn full(url: &str) -> Result<Self, Setting> {
        Self::parse(env::CONTAINER_FULL_URI, url)
    }

    fn parse(setting: &'static str, value: &str) -> Result<Self, Setting> {
        let wrong = |why: String| {
            let shown = crate::variable::without_password(value).to_owned();
            let remedy = format!("EKS Pod Identity injects http://{EKS_AGENT_V4}/v1/credentials: correct or remove it");
            Setting::ContainerUri { setting, shown, why, remedy }
        };
        let url = HttpUrl::parse(value).map_err(|why| wrong(why.to_string()))?;
        // The addresses of a host name are checked when it is resolved.
        match url.host().address() {
            Some(ip) if !url.is_https() && !is_allowed(ip) => Err(wrong(format!(
                "would send the pod's token in clear text to an address that is not allowed: plain http is only for {ALLOWED}, \
                 and any other host needs https"
            ))),
            _ => Ok(Self { url, setting }),
        }
    }

    pub(crate) fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// The variable that it comes from.
    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }

    /// The server as error messages describe it, with the proxy and the trusted roots for https.
    pub(crate) fn peer(&self, https: &HttpsSettings) -> Peer {
        let server = if self.is_eks_agent() { Server::EksAgent } else { Server::Container };
        https.route_to(Peer::new(server, self.url.origin(), Some(self.setting)), &self.url)
    }

    /// Whether this is the address of the EKS Pod Identity agent, which requires a token.
    pub(crate) fn is_eks_agent(&self) -> bool {
        [IpAddr::V4(EKS_AGENT_V4), IpAddr::V6(EKS_AGENT_V6)].map(Some).contains(&self.url.host().address())
    }
}

/// The allowed addresses, for error messages.
const ALLOWED: &str = "loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23";

/// Checks an address that a host name resolves to. The error lists the allowed addresses.
pub(crate) fn check_address(ip: IpAddr) -> Result<(), &'static str> {
    if is_allowed(ip) { Ok(()) } else { Err(ALLOWED) }
}

/// Whether plain http to `ip` is allowed.
fn is_allowed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_loopback() || v4 == ECS_AGENT_V4 || v4 == EKS_AGENT_V4,
        IpAddr::V6(v6) => {
            v6 == EKS_AGENT_V6 || v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| is_allowed(v4.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn container_endpoint_accepts_only_allowed_uris() {
        for url in [
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://169.254.170.2:8080/x",
            "http://127.0.0.1:9876/x",
            "http://127.255.1.2/x",
            "http://[::1]:8080/x",
            "http://localhost:1/x",
            "https://credentials.example.com/x",
            "https://8.8.8.8/x",
        ] {
            assert_eq!(ContainerEndpoint::full(url).unwrap().url().to_string(), url);
        }
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://8.8.8.8/x",
            "http://[fd00:ec2::24]/x",
            "http://[::ffff:8.8.8.8]/x",
            "http://2130706434.example@8.8.8.8/x",
            "http://me@127.0.0.1/x",
            "http://:hunter2@127.0.0.1/x",
            "ftp://127.0.0.1/x",
            "/v1/credentials",
            "http://",
            "https://a\"b.example/x",
        ] {
            let message = ContainerEndpoint::full(url).expect_err(url).observed();
            assert!(message.starts_with("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{message}");
        }
    }

    #[test]
    fn container_endpoint_relative_uri_stays_at_the_ecs_agent() {
        let endpoint = ContainerEndpoint::relative("/v2/credentials/id?a=b").unwrap();
        assert_eq!(endpoint.url().to_string(), "http://169.254.170.2/v2/credentials/id?a=b");
        assert!(!endpoint.is_eks_agent());
        assert!(ContainerEndpoint::relative("v2/x").is_err());
        // The fixed host comes first, so none of these paths can change it.
        for path in ["//evil.example/x", "/@evil.example/x", "/\\evil.example"] {
            assert_eq!(ContainerEndpoint::relative(path).unwrap().url().origin(), "http://169.254.170.2", "{path}");
        }
    }

    #[test]
    fn container_endpoint_recognises_the_eks_agent_and_https() {
        for (url, is_eks_agent, is_tls) in [
            ("http://169.254.170.23/v1/credentials", true, false),
            ("http://[fd00:ec2::23]/v1/credentials", true, false),
            ("http://[::1]/v1/credentials", false, false),
            ("http://localhost/v1/credentials", false, false),
            ("https://169.254.170.2/v1/credentials", false, true),
        ] {
            let endpoint = ContainerEndpoint::full(url).unwrap();
            assert_eq!((endpoint.is_eks_agent(), endpoint.url().is_https()), (is_eks_agent, is_tls), "{url}");
        }
    }

    #[test]
    fn check_address_has_the_same_rules_as_a_literal_address() {
        for (ip, allowed) in
            [("127.0.0.1", true), ("::1", true), ("fd00:ec2::23", true), ("8.8.8.8", false), ("fd00:ec2::24", false)]
        {
            assert_eq!(check_address(ip.parse().unwrap()).is_ok(), allowed, "{ip}");
        }
    }

    #[test]
    fn container_endpoint_refuses_a_password_and_hides_it() {
        let message = Error::from(ContainerEndpoint::full("https://me:hunter2@h/x").unwrap_err()).to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
