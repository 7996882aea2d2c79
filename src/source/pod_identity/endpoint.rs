//! `AWS_CONTAINER_CREDENTIALS_{RELATIVE,FULL}_URI` → an address that may be asked, by the rules that all AWS SDKs share.
//!
//! Plain http hands the pod's token to whoever listens there, so only hosts on this machine or link-local agents are
//! allowed. A literal address is judged here; a host name when it is resolved, address by address
//! ([`vet`] is asked by the resolver that the agent's client dials with).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::env;
use crate::error::problem::peer::{Peer, Server};
use crate::error::problem::setting::Setting;
use crate::transport::{HttpUrl, HttpsSettings};

/// The ECS agent: where relative URIs point.
const ECS_AGENT_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// The EKS Pod Identity agent.
const EKS_AGENT_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
/// The EKS Pod Identity agent on IPv6 clusters.
const EKS_AGENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);

/// A vetted place to get container credentials from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerEndpoint {
    url: HttpUrl,
    /// The variable that names it.
    setting: &'static str,
}

impl ContainerEndpoint {
    /// A path below the ECS agent's fixed address.
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

    /// A whole URL: `https` to anywhere, `http` only to this machine and the known link-local agents.
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
        // The addresses of a name are judged when it is resolved.
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

    /// The variable that names it.
    pub(crate) fn setting(&self) -> &'static str {
        self.setting
    }

    /// For messages, and with the way there.
    pub(crate) fn peer(&self, https: &HttpsSettings) -> Peer {
        let server = if self.is_eks_agent() { Server::EksAgent } else { Server::Container };
        https.route_to(Peer::new(server, self.url.origin(), Some(self.setting)), &self.url)
    }

    /// Whether this is the EKS Pod Identity agent itself, which never answers without a token.
    pub(crate) fn is_eks_agent(&self) -> bool {
        [IpAddr::V4(EKS_AGENT_V4), IpAddr::V6(EKS_AGENT_V6)].map(Some).contains(&self.url.host().address())
    }
}

/// The allowed addresses, for error messages.
const ALLOWED: &str = "loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23";

/// The same for an address that a host name resolves to.
pub(crate) fn vet(ip: IpAddr) -> Result<(), &'static str> {
    if is_allowed(ip) { Ok(()) } else { Err(ALLOWED) }
}

/// Whether plain http may be spoken to `ip`.
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
    fn allowed_and_refused_uris() {
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
    fn a_relative_uri_is_a_path_at_the_ecs_agent_and_nothing_else() {
        let endpoint = ContainerEndpoint::relative("/v2/credentials/id?a=b").unwrap();
        assert_eq!(endpoint.url().to_string(), "http://169.254.170.2/v2/credentials/id?a=b");
        assert!(!endpoint.is_eks_agent());
        assert!(ContainerEndpoint::relative("v2/x").is_err());
        // With the host in front of it, none of these can name another one.
        for path in ["//evil.example/x", "/@evil.example/x", "/\\evil.example"] {
            assert_eq!(ContainerEndpoint::relative(path).unwrap().url().origin(), "http://169.254.170.2", "{path}");
        }
    }

    #[test]
    fn the_eks_agent_and_https_are_recognised() {
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
    fn what_a_name_resolves_to_is_judged_as_if_it_stood_in_the_uri() {
        for (ip, allowed) in
            [("127.0.0.1", true), ("::1", true), ("fd00:ec2::23", true), ("8.8.8.8", false), ("fd00:ec2::24", false)]
        {
            assert_eq!(vet(ip.parse().unwrap()).is_ok(), allowed, "{ip}");
        }
    }

    #[test]
    fn a_password_in_the_uri_is_refused_and_not_shown() {
        let message = Error::from(ContainerEndpoint::full("https://me:hunter2@h/x").unwrap_err()).to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }
}
