//! The server that a request is sent to, and the network path to it, for error messages.

use std::path::PathBuf;

/// The server that a request is sent to.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) server: Server,
    /// `https://sts.eu-central-1.amazonaws.com`
    pub(crate) origin: String,
    /// The variable or builder setting that contains the URL. `None` if the URL is derived from the region.
    pub(crate) setting: Option<&'static str>,
    /// The proxy that the request is sent through.
    pub(crate) proxy: Option<ProxyUsed>,
    /// Which certificates are trusted.
    pub(crate) trust: Trust,
}

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The certificates of the system, or those that were compiled in.
    Default,
    /// The file of `AWS_CA_BUNDLE`.
    Bundle(PathBuf),
    /// The certificates of an HTTP client that the program passed to the builder.
    GivenClient,
}

/// The server that is expected at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Sts,
    /// At one of the agent's own addresses.
    EksAgent,
    /// Another server for container credentials.
    Container,
}

/// A proxy. User name and password are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyUsed {
    /// `HTTPS_PROXY`
    pub(crate) variable: String,
    /// `http://proxy.example.com:3128`
    pub(crate) address: String,
}

impl Peer {
    /// A server that is reached without a proxy.
    pub(crate) fn new(server: Server, origin: String, setting: Option<&'static str>) -> Self {
        Self { server, origin, setting, proxy: None, trust: Trust::Default }
    }

    /// `STS at https://sts.eu-central-1.amazonaws.com`
    pub(crate) fn name(&self) -> String {
        format!("{} at {}", self.server.name(), self.origin)
    }

    /// The setting that contains the URL, for remedies.
    pub(crate) fn setting_or_default(&self) -> &'static str {
        self.setting.unwrap_or(match self.server {
            Server::Sts => "AWS_ENDPOINT_URL_STS",
            Server::EksAgent | Server::Container => "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        })
    }

    /// What to check if no connection can be established.
    pub(crate) fn if_unreachable(&self) -> String {
        match self.server {
            Server::Sts => match self.setting {
                None => {
                    "check the pod's egress (NAT or a VPC endpoint for STS), its DNS, NetworkPolicies and security \
                     groups, the region, and HTTPS_PROXY and NO_PROXY"
                        .to_owned()
                }
                Some(setting) => format!(
                    "check {setting}, the pod's egress (NAT or a VPC endpoint for STS), its DNS, NetworkPolicies and \
                     security groups, and HTTPS_PROXY and NO_PROXY"
                ),
            },
            Server::EksAgent => {
                "check that the add-on eks-pod-identity-agent runs on this node (on a new node it may not have started \
                 yet) and that no NetworkPolicy blocks it: kubectl -n kube-system get pods -l \
                 app.kubernetes.io/name=eks-pod-identity-agent -o wide"
                    .to_owned()
            }
            Server::Container => format!(
                "check that the server at that address (from {0}) runs; if this pod should use the EKS Pod Identity \
                 agent, remove {0} from the container's env: the EKS webhook then sets it",
                self.setting_or_default()
            ),
        }
    }

    /// What to check if the server responds with an error of its own.
    pub(crate) fn if_failing(&self) -> &'static str {
        match self.server {
            Server::Sts => "check the AWS Health Dashboard for STS in this region",
            Server::EksAgent => {
                "check the agent's log (kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent) \
                 and the node's network path to EKS Auth (NAT or a VPC endpoint)"
            }
            Server::Container => "check the server's log",
        }
    }
}

impl Server {
    /// `STS`
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sts => "STS",
            Self::EksAgent => "the EKS Pod Identity agent",
            Self::Container => "the container credentials server",
        }
    }
}
