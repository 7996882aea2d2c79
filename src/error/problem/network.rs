//! Attempts without a complete response.

use std::net::IpAddr;
use std::time::Duration;

use super::peer::{Peer, Server, Trust};
use crate::error::ErrorKind;

/// An attempt that ended without a complete response.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    pub(crate) what: What,
}

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Name resolution, connection, proxy and TLS.
    Connect,
    /// The client has begun to send the request.
    Exchange,
}

#[derive(Debug)]
pub(crate) enum What {
    /// `cause` is the text of the resolver.
    NotResolved {
        host: String,
        cause: String,
    },
    /// Plain http is not allowed for this address.
    NotAllowed {
        host: String,
        ip: IpAddr,
        allowed: &'static str,
    },
    /// `None` if the HTTP client applied a limit that is not known here.
    TimedOut(Option<Duration>),
    Refused,
    Reset,
    Closed,
    /// No route. `cause` is the text of the operating system.
    NoRoute {
        cause: String,
    },
    /// `cause` is the text of the HTTP client.
    NotConnected {
        cause: String,
    },
    Tls(Tls),
    NotHttp,
    /// The status with which the proxy refused to connect to the server.
    ProxyRefused(u16),
}

/// A failed TLS handshake.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) objection: Objection,
    /// The text of the TLS library.
    pub(crate) cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    Expired,
    NotValidYet,
    WrongName,
    UnknownIssuer,
    /// The server presents a CA certificate as its own certificate.
    CaUsedAsEndEntity,
    /// The certificate is not accepted for another reason.
    Certificate,
    /// The server does not speak TLS, or shares no protocol version or cipher suite with this client.
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

    /// Whether the proxy failed before the server was reached.
    pub(crate) fn is_of_proxy(&self) -> bool {
        let reached = matches!(self.what, What::Tls(_) | What::NotAllowed { .. });
        self.peer.proxy.is_some() && self.phase == Phase::Connect && !reached
    }

    pub(crate) fn observed(&self) -> String {
        let Self { peer, what, .. } = self;
        let proxy = peer.proxy.as_ref().map(|proxy| format!("the proxy {} (from {})", proxy.address, proxy.variable));
        let (who, through) = match (&proxy, self.is_of_proxy()) {
            (Some(proxy), true) => (format!("{proxy}, used for {},", peer.name()), String::new()),
            (Some(proxy), false) => (peer.name(), format!(" (through {proxy})")),
            (None, _) => (peer.name(), String::new()),
        };
        match what {
            What::NotResolved { host, cause } => {
                format!("{who} could not be reached: the host name \"{host}\" could not be resolved ({cause})")
            }
            What::NotAllowed { host, ip, allowed } => format!(
                "no request was sent to {who}: the host name \"{host}\" resolves to {ip}, but plain http is only \
                 allowed for {allowed}"
            ),
            What::TimedOut(Some(limit)) if self.phase == Phase::Connect => {
                format!("{who} did not accept a connection within {limit:?}{through}")
            }
            What::TimedOut(Some(limit)) => format!("{who} did not respond within {limit:.1?}{through}"),
            What::TimedOut(None) => format!("{who} did not respond in time{through}"),
            What::Refused => format!("{who} refused the connection{through}"),
            What::Reset => format!("{who} reset the connection{through}"),
            What::Closed => format!("{who} closed the connection before the response was complete{through}"),
            What::NoRoute { cause } => format!("{who} could not be reached: there is no route to it ({cause})"),
            What::NotConnected { cause } => format!("{who} could not be reached ({cause}){through}"),
            What::Tls(tls) => format!("{who}{through} {}{}", tls.observed(), self.trusted()),
            What::NotHttp => format!("{who} sent a response that is not HTTP{through}"),
            What::ProxyRefused(status) => {
                let proxy = proxy.as_deref().unwrap_or("the proxy");
                format!("{proxy} responded to CONNECT {} with status {status}", self.host_and_port())
            }
        }
    }

    /// The trusted certificates, if a certificate was not accepted.
    fn trusted(&self) -> String {
        match (&self.what, &self.peer.trust) {
            (What::Tls(_), Trust::Bundle(bundle)) => {
                format!("; the trusted certificates are those in AWS_CA_BUNDLE={}", bundle.display())
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
                "if the pod has only IPv6, set AWS_USE_DUALSTACK_ENDPOINT=true, because the default STS endpoint has \
                 only IPv4 addresses; otherwise {}",
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
                "set {variable} to http://USER:PASSWORD@HOST:PORT from a Secret, and percent-encode special characters \
                 in the user name and the password"
            ),
            What::ProxyRefused(403 | 405) => {
                format!("allow CONNECT to {host} in the proxy's rules, or add {host} to NO_PROXY if no proxy is needed")
            }
            What::ProxyRefused(_) => format!("check the proxy's log: usually the proxy could not reach {host}"),
            _ => format!(
                "check that {variable} is correct, that the proxy runs and that this pod can reach it, or add {host} \
                 to NO_PROXY if no proxy is needed"
            ),
        }
    }
}

impl Tls {
    fn observed(&self) -> String {
        let what = match self.objection {
            Objection::Expired => "has a certificate that has expired",
            Objection::NotValidYet => "has a certificate that is not valid yet",
            Objection::WrongName => "has a certificate for another host name",
            Objection::UnknownIssuer => "has a certificate from an unknown issuer",
            Objection::CaUsedAsEndEntity => "presents a CA certificate as its own certificate",
            Objection::Certificate => "has a certificate that is not accepted",
            Objection::Protocol => "did not complete a TLS handshake",
        };
        format!("{what} ({})", self.cause)
    }

    fn remedy(&self, peer: &Peer) -> String {
        let private = "if a proxy inspects TLS, or if the endpoint uses a private CA,";
        let text = match self.objection {
            Objection::Expired => "renew the certificate, or correct this node's clock",
            Objection::NotValidYet => "correct this node's clock",
            Objection::WrongName => {
                "check the endpoint's URL; with a private DNS zone or a VPC endpoint, also check which address its \
                 host name resolves to"
            }
            Objection::UnknownIssuer => {
                return match &peer.trust {
                    Trust::Default => format!("{private} set AWS_CA_BUNDLE to a file with its CA certificate"),
                    Trust::Bundle(bundle) => format!(
                        "{private} add its CA certificate to {}: the file replaces the system's certificates",
                        bundle.display()
                    ),
                    Trust::GivenClient => {
                        format!(
                            "{private} configure the HTTP client that was passed to the builder to trust its CA \
                             certificate"
                        )
                    }
                };
            }
            Objection::CaUsedAsEndEntity => {
                "use a server certificate that was issued by the CA (a self-signed certificate needs the basic \
                 constraint CA:FALSE)"
            }
            Objection::Certificate => "replace the server's certificate",
            Objection::Protocol => {
                return match (&peer.proxy, peer.setting) {
                    (Some(proxy), _) => format!(
                        "check which server responds at that address, and check that {} is a proxy that forwards TLS",
                        proxy.variable
                    ),
                    (None, Some(setting)) => {
                        format!("check which server responds at that address, and check the URL in {setting}")
                    }
                    (None, None) => "check which server responds at that address".to_owned(),
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
    fn no_answer_kind_depends_on_what_failed() {
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
    fn no_answer_remedy_depends_on_what_failed() {
        assert!(remedy(not_resolved(), None).starts_with("check the spelling of the host name; "));
        assert!(!remedy(What::Refused, None).contains("spelling"));
        assert_eq!(remedy(What::NotHttp, None), super::super::IF_NOT_ITSELF);
        assert!(remedy(not_allowed(), None).starts_with("use https, or "));
    }

    #[test]
    fn no_answer_for_untrusted_certificate_names_the_bundle() {
        let tls = || What::Tls(Tls { objection: Objection::UnknownIssuer, cause: "UnknownIssuer".to_owned() });
        let mut no_answer = of_sts(tls());
        assert!(!no_answer.observed().contains("AWS_CA_BUNDLE"));
        no_answer.peer.trust = Trust::Bundle("/etc/ssl/corporate.pem".into());
        let observed = no_answer.observed();
        assert!(
            observed.ends_with("; the trusted certificates are those in AWS_CA_BUNDLE=/etc/ssl/corporate.pem"),
            "{observed}"
        );
    }

    /// The default STS endpoint has only IPv4 addresses. The addresses of other endpoints are not known.
    #[test]
    fn no_route_to_default_endpoint_suggests_dual_stack() {
        let no_route = || What::NoRoute { cause: "Network is unreachable (os error 101)".to_owned() };
        assert!(remedy(no_route(), None).contains("AWS_USE_DUALSTACK_ENDPOINT=true"));
        assert!(!remedy(no_route(), Some("AWS_ENDPOINT_URL_STS")).contains("DUALSTACK"));
        assert!(!remedy(What::Refused, None).contains("DUALSTACK"));
    }
}
