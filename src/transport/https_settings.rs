//! The settings for https: the CA bundle and the proxy, from the environment.

use std::path::PathBuf;

use super::proxy::ProxySettings;
use super::{ConnectTimeout, Host, HttpUrl};
use crate::env::{self, Env};
use crate::error::problem::peer::{Peer, Server, Trust};
use crate::error::problem::setting::Setting;

/// `AWS_CA_BUNDLE` and the proxy variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpsSettings {
    pub(super) ca_bundle: Option<PathBuf>,
    pub(super) proxy: Option<ProxySettings>,
    /// From the builder, not from the environment.
    pub(crate) connect: ConnectTimeout,
}

impl HttpsSettings {
    pub(crate) fn from_env(env: &Env) -> Result<Self, Setting> {
        let ca_bundle = env.get(env::CA_BUNDLE)?.map(PathBuf::from);
        Ok(Self { ca_bundle, proxy: ProxySettings::from_env(env)?, connect: ConnectTimeout::default() })
    }

    /// Adds the proxy and the trusted roots to `peer`.
    pub(crate) fn route_to(&self, peer: Peer, url: &HttpUrl) -> Peer {
        let trust = self.ca_bundle.clone().map_or(Trust::Default, Trust::Bundle);
        let proxy = self.proxy_for(peer.server, url).map(ProxySettings::used);
        Peer { proxy, trust, ..peer }
    }

    /// The proxy for requests to a server, if one is to be used. Container credentials servers at loopback or link-local
    /// addresses are always reached directly, because a proxy would connect to these addresses in its own network.
    pub(super) fn proxy_for(&self, server: Server, url: &HttpUrl) -> Option<&ProxySettings> {
        let proxy = self.proxy.as_ref().filter(|_| url.is_https())?;
        let direct = server != Server::Sts && is_local(url.host());
        (!direct && !proxy.is_bypassed_for(url)).then_some(proxy)
    }
}

/// Whether the host is a loopback or link-local address.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Address(std::net::IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Host::Address(std::net::IpAddr::V6(ip)) => {
            // AWS uses fd00:ec2::/32 for its local services over IPv6.
            ip.is_loopback() || ip.is_unicast_link_local() || ip.segments().starts_with(&[0xfd00, 0x0ec2])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> HttpsSettings {
        HttpsSettings::from_env(&Env::from_os(vars.iter().map(|(n, v)| (n.into(), v.into())))).unwrap()
    }

    /// A proxy would connect to loopback and link-local addresses in its own network.
    #[test]
    fn https_settings_use_no_proxy_for_local_container_credentials() {
        let settings = settings(&[(env::HTTPS_PROXY, "http://proxy:3128")]);
        for (url, container, sts) in [
            ("https://localhost:1/x", false, true),
            ("https://127.0.0.1/x", false, true),
            ("https://[::1]/x", false, true),
            ("https://169.254.170.2/x", false, true),
            ("https://[fd00:ec2::23]/x", false, true),
            ("https://[fe80::1]/x", false, true),
            ("https://credentials.example.com/x", true, true),
            ("https://10.0.0.1/x", true, true),
            ("http://credentials.example.com/x", false, false),
        ] {
            let url = HttpUrl::parse(url).unwrap();
            let uses = |server| settings.proxy_for(server, &url).is_some();
            assert_eq!((uses(Server::Container), uses(Server::Sts)), (container, sts), "{url}");
        }
    }
}
