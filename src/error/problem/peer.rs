//! The server that a request goes to, and the way to it: for messages.

use std::path::PathBuf;

/// The server that a request goes to.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) server: Server,
    /// `https://sts.eu-central-1.amazonaws.com`
    pub(crate) origin: String,
    /// The variable or builder setting that its URL comes from. `None`: it is derived from the region.
    pub(crate) setting: Option<&'static str>,
    /// The proxy on the way.
    pub(crate) proxy: Option<ProxyUsed>,
    /// Which certificates are trusted.
    pub(crate) trust: Trust,
}

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The system's, or those that were compiled in.
    Default,
    /// The file of `AWS_CA_BUNDLE`.
    Bundle(PathBuf),
    /// Those of an HTTP client that the program gave to the builder.
    GivenClient,
}

/// What kind of server it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Sts,
    /// By its address.
    EksAgent,
    /// Another server for container credentials.
    Container,
}

/// A proxy, without user name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyUsed {
    /// `HTTPS_PROXY`
    pub(crate) variable: String,
    /// `http://proxy.example.com:3128`
    pub(crate) address: String,
}

impl Peer {
    /// A server that is reached directly.
    pub(crate) fn new(server: Server, origin: String, setting: Option<&'static str>) -> Self {
        Self { server, origin, setting, proxy: None, trust: Trust::Default }
    }

    /// `STS at https://sts.eu-central-1.amazonaws.com`
    pub(crate) fn name(&self) -> String {
        format!("{} at {}", self.server.name(), self.origin)
    }

    /// The setting that names it, for advice.
    pub(crate) fn setting_or_default(&self) -> &'static str {
        self.setting.unwrap_or(match self.server {
            Server::Sts => "AWS_ENDPOINT_URL_STS",
            Server::EksAgent | Server::Container => "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        })
    }

    /// What to check when there is no connection.
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
                "check that the server at the address in {0} runs; if this pod should use the EKS Pod Identity agent, remove \
                 {0} from the container's env, so that the EKS webhook sets it",
                self.setting_or_default()
            ),
        }
    }

    /// What to check when it answers that it cannot serve the request.
    pub(crate) fn if_failing(&self) -> &'static str {
        match self.server {
            Server::Sts => "see the AWS Health Dashboard for STS in this region",
            Server::EksAgent => {
                "see its log (kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent) and check the \
                 node's network path to EKS Auth (NAT or a VPC endpoint)"
            }
            Server::Container => "see its log",
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
