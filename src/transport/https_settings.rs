//! What the environment says about https: the CA bundle and the proxy.

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
    /// Not of the environment.
    pub(crate) connect: ConnectTimeout,
}

impl HttpsSettings {
    pub(crate) fn from_env(env: &Env) -> Result<Self, Setting> {
        let ca_bundle = env.get(env::CA_BUNDLE)?.map(PathBuf::from);
        Ok(Self { ca_bundle, proxy: ProxySettings::from_env(env)?, connect: ConnectTimeout::default() })
    }

    /// `peer` with the way to it.
    pub(crate) fn route_to(&self, peer: Peer, url: &HttpUrl) -> Peer {
        let trust = self.ca_bundle.clone().map_or(Trust::Default, Trust::Bundle);
        let proxy = self.proxy_for(peer.server, url).map(ProxySettings::used);
        Peer { proxy, trust, ..peer }
    }

    /// The proxy for a server, if there is one to be used. Servers for container credentials on this machine or at a
    /// link-local address are always reached directly: a proxy has other addresses there.
    pub(super) fn proxy_for(&self, server: Server, url: &HttpUrl) -> Option<&ProxySettings> {
        let proxy = self.proxy.as_ref().filter(|_| url.is_https())?;
        let direct = server != Server::Sts && is_near(url.host());
        (!direct && !proxy.is_bypassed_for(url)).then_some(proxy)
    }
}

/// Loopback and link-local.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Address(std::net::IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Host::Address(std::net::IpAddr::V6(ip)) => {
            // fd00:ec2::/32 is where AWS has its link-local services for IPv6.
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

    /// A proxy has other addresses at loopback and link-local than this pod.
    #[test]
    fn https_container_credentials_on_this_node_never_use_a_proxy() {
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
