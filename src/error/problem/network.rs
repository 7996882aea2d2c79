//! Why there is no complete answer.

use std::net::IpAddr;
use std::time::Duration;

use super::peer::{Peer, Server, Trust};
use crate::error::ErrorKind;

/// An attempt that ended without a complete answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    pub(crate) what: What,
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Name, connection, proxy and TLS.
    Connect,
    /// The request has begun to be sent.
    Exchange,
}

#[derive(Debug)]
pub(crate) enum What {
    /// `cause` is the resolver's own text.
    NotResolved {
        host: String,
        cause: String,
    },
    /// Plain http is not for this address.
    NotAllowed {
        host: String,
        ip: IpAddr,
        allowed: &'static str,
    },
    /// `None`: by a limit of the client that is not known here.
    TimedOut(Option<Duration>),
    Refused,
    Reset,
    Closed,
    /// No route; `cause` is the system's own text.
    NoRoute {
        cause: String,
    },
    /// `cause` is the client's own text.
    NotConnected {
        cause: String,
    },
    Tls(Tls),
    NotHttp,
    /// A status with which the proxy refused to connect to the server.
    ProxyRefused(u16),
}

/// Why there is no TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) objection: Objection,
    /// The TLS library's own text.
    pub(crate) cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    Expired,
    NotValidYet,
    WrongName,
    UnknownIssuer,
    /// The server presents a certificate that is itself a CA certificate.
    CaUsedAsEndEntity,
    /// Another objection to the certificate.
    Certificate,
    /// What answers does not speak TLS, or not as this client does.
    Protocol,
}

impl NoAnswer {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.what {
            What::NotAllowed { .. } => ErrorKind::InvalidConfiguration,
            What::TimedOut(_) => ErrorKind::Timeout,
            What::NotHttp => ErrorKind::InvalidResponse,
            _ => ErrorKind::Unavailable,
        }
    }

    /// Whether it is the proxy that failed: nothing of the server was reached.
    pub(crate) fn is_of_proxy(&self) -> bool {
        let reached = matches!(self.what, What::Tls(_) | What::NotAllowed { .. });
        self.peer.proxy.is_some() && self.phase == Phase::Connect && !reached
    }

    pub(crate) fn observed(&self) -> String {
        let Self { peer, what, .. } = self;
        let proxy = peer.proxy.as_ref().map(|proxy| format!("the proxy {} (from {})", proxy.address, proxy.variable));
        let (who, through) = match (&proxy, self.is_of_proxy()) {
            (Some(proxy), true) => (format!("{proxy}, on the way to {},", peer.name()), String::new()),
            (Some(proxy), false) => (peer.name(), format!(" (through {proxy})")),
            (None, _) => (peer.name(), String::new()),
        };
        match what {
            What::NotResolved { host, cause } => {
                format!("{who} could not be reached: the host name \"{host}\" could not be resolved ({cause})")
            }
            What::NotAllowed { host, ip, allowed } => format!(
                "{who} was not asked: the host name \"{host}\" resolves to {ip}, but plain http is only for {allowed}"
            ),
            What::TimedOut(Some(limit)) if self.phase == Phase::Connect => {
                format!("{who} did not accept a connection within {limit:?}{through}")
            }
            What::TimedOut(Some(limit)) => format!("{who} did not answer within {limit:.1?}{through}"),
            What::TimedOut(None) => format!("{who} did not answer in time{through}"),
            What::Refused => format!("{who} refused the connection{through}"),
            What::Reset => format!("{who} reset the connection{through}"),
            What::Closed => format!("{who} closed the connection before its answer was complete{through}"),
            What::NoRoute { cause } => format!("{who} could not be reached: there is no route to it ({cause})"),
            What::NotConnected { cause } => format!("{who} could not be reached ({cause}){through}"),
            What::Tls(tls) => format!("{who}{through} {}{}", tls.observed(), self.trusted()),
            What::NotHttp => format!("{who} answered something that is not HTTP{through}"),
            What::ProxyRefused(status) => {
                let proxy = proxy.as_deref().unwrap_or("the proxy");
                format!("{proxy} answered CONNECT {} with status {status}", self.host_and_port())
            }
        }
    }

    /// Which certificates are trusted, where that matters.
    fn trusted(&self) -> String {
        match (&self.what, &self.peer.trust) {
            (What::Tls(_), Trust::Bundle(bundle)) => {
                format!("; trusted are the certificates of AWS_CA_BUNDLE={}", bundle.display())
            }
            _ => String::new(),
        }
    }

    pub(crate) fn remedy(&self) -> String {
        let Self { peer, what, .. } = self;
        match what {
            What::NotAllowed { .. } => "use https, or a name that resolves to an allowed address".to_owned(),
            What::Tls(tls) => tls.remedy(peer),
            What::NotHttp => super::IF_NOT_ITSELF.to_owned(),
            _ if self.is_of_proxy() => self.proxy_remedy(),
            What::NoRoute { .. } if peer.server == Server::Sts && peer.setting.is_none() => format!(
                "a pod that has only IPv6 needs AWS_USE_DUALSTACK_ENDPOINT=true, because the default endpoint of STS has only \
                 IPv4 addresses; otherwise {}",
                peer.if_unreachable()
            ),
            What::NotResolved { .. } => format!("check the spelling of the host name; {}", peer.if_unreachable()),
            _ => peer.if_unreachable(),
        }
    }

    fn host(&self) -> &str {
        self.peer.origin.split("//").nth(1).unwrap_or_default()
    }

    /// The target of `CONNECT`.
    fn host_and_port(&self) -> String {
        let host = self.host();
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        if has_port { host.to_owned() } else { format!("{host}:443") }
    }

    fn proxy_remedy(&self) -> String {
        let variable = self.peer.proxy.as_ref().map_or("HTTPS_PROXY", |proxy| proxy.variable.as_str());
        let host = self.host();
        match self.what {
            What::ProxyRefused(407) => format!(
                "set {variable} to http://USER:PASSWORD@HOST:PORT, with special characters of user name and password \
                 percent-encoded, from a Secret"
            ),
            What::ProxyRefused(403 | 405) => {
                format!(
                    "let the proxy's rules allow CONNECT to {host}, or add {host} to NO_PROXY if no proxy is needed"
                )
            }
            What::ProxyRefused(_) => format!("see the proxy's log: usually it could not reach {host} itself"),
            _ => format!(
                "correct {variable}, check that the proxy runs and that this pod may reach it, or add {host} to NO_PROXY if \
                 no proxy is needed"
            ),
        }
    }
}

impl Tls {
    fn observed(&self) -> String {
        let what = match self.objection {
            Objection::Expired => "has a certificate that has expired",
            Objection::NotValidYet => "has a certificate that is not valid yet",
            Objection::WrongName => "has a certificate for another name",
            Objection::UnknownIssuer => "has a certificate of an unknown issuer",
            Objection::CaUsedAsEndEntity => "presents a CA certificate as its own certificate",
            Objection::Certificate => "has a certificate that is not accepted",
            Objection::Protocol => "did not complete a TLS handshake",
        };
        format!("{what} ({})", self.cause)
    }

    fn remedy(&self, peer: &Peer) -> String {
        let private = "if a proxy inspects TLS here, or the endpoint has a private CA,";
        let text = match self.objection {
            Objection::Expired => "have the certificate renewed, or set this node's clock right",
            Objection::NotValidYet => "set this node's clock right",
            Objection::WrongName => {
                "check the endpoint's URL and, with a private DNS zone or VPC endpoint, what its name resolves to"
            }
            Objection::UnknownIssuer => {
                return match &peer.trust {
                    Trust::Default => format!("{private} set AWS_CA_BUNDLE to a file with its CA certificate"),
                    Trust::Bundle(bundle) => format!(
                        "{private} add its CA certificate to {}: the file replaces the system's certificates",
                        bundle.display()
                    ),
                    Trust::GivenClient => {
                        format!("{private} let the HTTP client that was given to the builder trust its CA certificate")
                    }
                };
            }
            Objection::CaUsedAsEndEntity => {
                "let the server use a certificate that its CA has issued (a self-signed one needs the basic constraint \
                 CA:FALSE)"
            }
            Objection::Certificate => "have the server's certificate corrected",
            Objection::Protocol => {
                return match (&peer.proxy, peer.setting) {
                    (Some(proxy), _) => format!(
                        "check what answers at that address, and that {} names a proxy that forwards TLS",
                        proxy.variable
                    ),
                    (None, Some(setting)) => format!("check what answers at that address, and the URL in {setting}"),
                    (None, None) => "check what answers at that address".to_owned(),
                };
            }
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_sts(what: What) -> NoAnswer {
        let peer = Peer::new(Server::Sts, "https://sts.eu-central-1.amazonaws.com".to_owned(), None);
        NoAnswer { peer, phase: Phase::Connect, what }
    }

    fn remedy(what: What, setting: Option<&'static str>) -> String {
        let mut no_answer = of_sts(what);
        no_answer.peer.setting = setting;
        no_answer.remedy()
    }

    fn not_resolved() -> What {
        What::NotResolved { host: "sts.eu-centrel-1.amazonaws.com".to_owned(), cause: "no such name".to_owned() }
    }

    fn not_allowed() -> What {
        What::NotAllowed { host: "example".to_owned(), ip: IpAddr::from([192, 0, 2, 1]), allowed: "loopback" }
    }

    #[test]
    fn kind_says_whether_it_may_pass() {
        for (what, kind) in [
            (not_allowed(), ErrorKind::InvalidConfiguration),
            (What::TimedOut(None), ErrorKind::Timeout),
            (What::NotHttp, ErrorKind::InvalidResponse),
            (What::Refused, ErrorKind::Unavailable),
            (not_resolved(), ErrorKind::Unavailable),
        ] {
            assert_eq!(of_sts(what).kind(), kind);
        }
    }

    #[test]
    fn a_name_that_is_not_resolved_may_be_misspelt() {
        assert!(remedy(not_resolved(), None).starts_with("check the spelling of the host name; "));
        assert!(!remedy(What::Refused, None).contains("spelling"));
        assert_eq!(remedy(What::NotHttp, None), super::super::IF_NOT_ITSELF);
        assert!(remedy(not_allowed(), None).starts_with("use https, or "));
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_with_the_bundle() {
        let tls = || What::Tls(Tls { objection: Objection::UnknownIssuer, cause: "UnknownIssuer".to_owned() });
        let mut no_answer = of_sts(tls());
        assert!(!no_answer.observed().contains("AWS_CA_BUNDLE"));
        no_answer.peer.trust = Trust::Bundle("/etc/ssl/corporate.pem".into());
        let observed = no_answer.observed();
        assert!(
            observed.ends_with("; trusted are the certificates of AWS_CA_BUNDLE=/etc/ssl/corporate.pem"),
            "{observed}"
        );
    }

    /// STS's default endpoint has only IPv4 addresses. What another endpoint has is not known.
    #[test]
    fn no_route_to_the_default_endpoint_names_the_dual_stack_switch() {
        let no_route = || What::NoRoute { cause: "Network is unreachable (os error 101)".to_owned() };
        assert!(remedy(no_route(), None).contains("AWS_USE_DUALSTACK_ENDPOINT=true"));
        assert!(!remedy(no_route(), Some("AWS_ENDPOINT_URL_STS")).contains("DUALSTACK"));
        assert!(!remedy(What::Refused, None).contains("DUALSTACK"));
    }
}
