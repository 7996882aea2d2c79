//! Converts a problem into a finding. It has the same facts as the error line, and also what was expected, the commands
//! to run and the policy to paste.

use std::error::Error as _;

use super::claims::service_account;
use super::{Finding, FindingId, remedies, token};
use crate::claims::Claims;
use crate::error::problem::agent::{self, AgentRefusal};
use crate::error::problem::answer::{self, BadAnswer};
use crate::error::problem::network::{self, NoAnswer};
use crate::error::problem::peer::Server;
use crate::error::problem::setting::Setting;
use crate::error::problem::sts::{self, Request, StsRefusal};
use crate::error::problem::{Problem, token as bad_token};
use crate::error::{Error, ErrorKind};
use crate::source_kind::SourceKind;

/// A common mistake that neither STS nor EKS Auth can detect.
const DEFAULT_ACCOUNT: &str = "This pod runs as the service account \"default\". Check whether spec.serviceAccountName \
                               is missing in the pod template. If \"default\" is intended: ";

impl Finding {
    pub(super) fn of(error: &Error) -> Self {
        let finding = Self::of_problem(error.problem());
        // The text of the HTTP client about the proxy's response adds no information.
        let said = matches!(error.problem(), Problem::NoAnswer(no_answer) if matches!(no_answer.what, network::What::ProxyRefused(_)));
        let cause = if said { None } else { causes(error, &finding.observed) };
        Self { cause, ..finding }
    }

    pub(super) fn of_problem(problem: &Problem) -> Self {
        let finding = Self::new(id_of(problem), problem.observed()).remedy(problem.remedy());
        match problem {
            Problem::Sts { refusal, .. } => of_sts(finding, refusal),
            Problem::Agent { refusal, .. } => of_agent(finding, refusal),
            Problem::Setting(setting) => Self::of_setting(setting),
            Problem::NotConfigured => finding.expected(
                "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE (IRSA), or AWS_CONTAINER_CREDENTIALS_FULL_URI and \
                 AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE (EKS Pod Identity), set by the EKS webhook when the pod was \
                 created; without them other SDKs fall back to the node's role",
            ),
            Problem::Token(bad) => finding.expected(match bad.what {
                bad_token::What::Missing => "the projected token at this path",
                bad_token::What::Empty | bad_token::What::BadCharacter | bad_token::What::SeveralWords => {
                    "one line with a JWT"
                }
                _ => "a file that this process can read",
            }),
            Problem::NoAnswer(no_answer) if no_answer.is_of_proxy() => {
                finding.expected(format!("a connection to {} through the proxy", no_answer.peer.server.name()))
            }
            Problem::NoAnswer(no_answer) => finding.expected(match no_answer.what {
                network::What::Refused => "a server that accepts connections at this address",
                network::What::NotResolved { .. } => "a host name that has an address",
                network::What::NotAllowed { .. } => "an address on this machine or of a link-local agent",
                network::What::NoRoute { .. } | network::What::NotConnected { .. } => "a connection",
                network::What::Tls(_) => "a TLS connection to a server whose certificate is trusted",
                _ => "a complete response in time",
            }),
            Problem::BadAnswer(bad) => finding.expected(format!("a response from {}", bad.peer.server.name())),
            Problem::Expired { .. } => finding.expected("credentials that have not expired"),
            _ => finding.expected("credentials"),
        }
    }

    /// A problem of the configuration.
    pub(super) fn of_setting(setting: &Setting) -> Self {
        let finding = Self::new(id_of_setting(setting), setting.observed()).remedy(setting.remedy());
        of_setting(finding, setting)
    }
}

fn id_of(problem: &Problem) -> FindingId {
    match problem {
        Problem::NotConfigured => FindingId::EnvNone,
        Problem::Setting(setting) => id_of_setting(setting),
        Problem::Token(bad) => id_of_token(&bad.what),
        Problem::NoAnswer(no_answer) => id_of_network(no_answer),
        Problem::BadAnswer(bad) => id_of_answer(bad),
        Problem::Sts { refusal, .. } => id_of_sts(refusal),
        Problem::Agent { refusal, .. } => id_of_agent(refusal),
        Problem::Expired { .. } => FindingId::FetchExpired,
        _ => FindingId::Config,
    }
}

fn id_of_setting(setting: &Setting) -> FindingId {
    match setting {
        Setting::Flag { .. } => FindingId::Flag,
        Setting::Source { .. } => FindingId::Source,
        Setting::Half { source: SourceKind::WebIdentity, .. } => FindingId::IrsaHalf,
        Setting::Half { source: SourceKind::PodIdentity, .. } => FindingId::PodIdentityHalf,
        Setting::RoleArn { .. } => FindingId::RoleArn,
        Setting::RolePartition { .. } => FindingId::RolePartition,
        Setting::Region { .. } => FindingId::Region,
        Setting::NoRegion { .. } => FindingId::RegionNone,
        Setting::StsUrl { .. } | Setting::StsUrlAndSwitch { .. } => FindingId::StsEndpoint,
        Setting::ContainerUri { .. } => FindingId::ContainerUri,
        Setting::ContainerPath { .. } => FindingId::ContainerPath,
        Setting::ContainerToken(bad) => id_of_token(&bad.what),
        Setting::CaBundle { .. } | Setting::NoRootCertificates => FindingId::CaBundle,
        _ => FindingId::Config,
    }
}

fn id_of_token(what: &bad_token::What) -> FindingId {
    use bad_token::What;
    match what {
        What::Missing => FindingId::TokenMissing,
        What::TooLarge | What::NotText | What::Empty | What::BadCharacter | What::SeveralWords => {
            FindingId::TokenInvalid
        }
        What::Denied { .. }
        | What::NotAFile
        | What::ThroughAFile
        | What::Loop
        | What::Io
        | What::Hangs
        | What::ThreadEnded => FindingId::TokenUnreadable,
    }
}

fn id_of_network(no_answer: &NoAnswer) -> FindingId {
    use network::What;
    if no_answer.is_of_proxy() {
        return match no_answer.what {
            What::ProxyRefused(407) => FindingId::ProxyAuth,
            _ => FindingId::Proxy,
        };
    }
    match (no_answer.peer.server, &no_answer.what) {
        (Server::Sts, What::TimedOut(_)) => FindingId::StsTimeout,
        (Server::Sts, What::Tls(_)) => FindingId::StsTls,
        (Server::Sts, What::NotHttp) => FindingId::StsForeign,
        (Server::Sts, _) => FindingId::StsUnreachable,
        (_, What::NotAllowed { .. }) => FindingId::ContainerUri,
        (_, What::TimedOut(_)) => FindingId::AgentTimeout,
        (_, What::Refused) => FindingId::AgentRefused,
        (_, What::NotHttp) => FindingId::AgentForeign,
        (_, _) => FindingId::AgentUnreachable,
    }
}

fn id_of_answer(bad: &BadAnswer) -> FindingId {
    match (bad.peer.server, &bad.what) {
        (_, answer::What::Invalid(_)) if bad.body == answer::Body::Credentials => FindingId::FetchInvalid,
        (Server::Sts, _) => FindingId::StsForeign,
        (Server::Container, _) if bad.may_be_path() => FindingId::ContainerPath,
        (Server::EksAgent | Server::Container, _) => FindingId::AgentForeign,
    }
}

fn id_of_sts(refusal: &StsRefusal) -> FindingId {
    use sts::Meaning;
    match refusal.meaning {
        _ if matches!(refusal.request, Request::GetCallerIdentity) => match refusal.kind {
            ErrorKind::Denied => FindingId::IdentityRefused,
            _ => FindingId::IdentityUnknown,
        },
        Meaning::NotTrusted => FindingId::TrustPolicy,
        Meaning::WrongAudience => FindingId::OidcAudience,
        Meaning::NoProvider | Meaning::InvalidToken => FindingId::OidcProvider,
        Meaning::Thumbprint => FindingId::OidcThumbprint,
        Meaning::NotAJwt | Meaning::TokenExpired | Meaning::RejectedClaim => FindingId::TokenRejected,
        Meaning::KeysNotRetrieved => FindingId::IssuerUnreachable,
        Meaning::RegionDisabled => FindingId::StsRegion,
        Meaning::NotAllowed | Meaning::NoTagSession | Meaning::NoSourceIdentity => FindingId::AssumeRoleDenied,
        Meaning::CallerRejected => FindingId::IdentityRefused,
        Meaning::WrongClock => FindingId::ClockSkew,
        Meaning::Policy | Meaning::PolicyTooLarge | Meaning::Parameter | Meaning::SessionTooLong | Meaning::Unknown => {
            FindingId::StsRefused
        }
        Meaning::Throttled => FindingId::StsThrottled,
        Meaning::Failing => FindingId::StsFailing,
    }
}

fn id_of_agent(refusal: &AgentRefusal) -> FindingId {
    use agent::Meaning;
    match refusal.meaning {
        Meaning::RoleDenied => FindingId::AssociationDenied,
        Meaning::NoAssociation => FindingId::AssociationNone,
        Meaning::AssociationInvalid => FindingId::AssociationInvalid,
        Meaning::PolicyTooLarge => FindingId::PolicyTooLarge,
        Meaning::TokenExpired
        | Meaning::ForeignToken
        | Meaning::WrongAudience
        | Meaning::NoToken
        | Meaning::NotAJwt
        | Meaning::NotBoundToPod => FindingId::TokenRejected,
        Meaning::InvalidAddress => FindingId::ContainerUri,
        Meaning::Throttled => FindingId::AgentThrottled,
        Meaning::Failing | Meaning::KeysNotRetrieved => FindingId::AgentFailing,
        Meaning::Unknown => FindingId::EksAuthRefused,
    }
}

fn of_setting(finding: Finding, setting: &Setting) -> Finding {
    match setting {
        Setting::Half { set, missing, .. } => finding.expected(format!("both {set} and {missing}, or neither")),
        Setting::Region { .. } | Setting::NoRegion { .. } => finding.expected("a region such as eu-central-1"),
        Setting::RoleArn { value, .. } => {
            finding.expected("arn:aws:iam::ACCOUNT:role/NAME").commands([remedies::get_role_arn(value)])
        }
        Setting::RolePartition { partition, .. } => finding.expected(format!("arn:{partition}:iam::…")),
        Setting::Flag { .. } => finding.expected("true or false"),
        Setting::Source { .. } => finding.expected("irsa, pod-identity or auto"),
        Setting::StsUrl { .. } | Setting::StsUrlAndSwitch { .. } => {
            finding.expected("no configured endpoint, or a valid URL without the FIPS and dual-stack switches")
        }
        Setting::ContainerUri { .. } | Setting::ContainerPath { .. } => finding.expected(
            "http://169.254.170.23/v1/credentials, or http://[fd00:ec2::23]/v1/credentials on an IPv6 cluster",
        ),
        Setting::CaBundle { .. } | Setting::NoRootCertificates => {
            finding.expected("the CA certificates to trust, in PEM format")
        }
        _ => finding.expected("a valid setting"),
    }
}

fn of_sts(finding: Finding, refusal: &StsRefusal) -> Finding {
    use sts::Meaning;
    let (role_arn, claims) = match &refusal.request {
        Request::Assume { role_arn, claims } => (role_arn, claims),
        Request::AssumeRole { .. } if refusal.kind == ErrorKind::Denied => {
            return finding.expected("a role that exists and trusts the role whose credentials signed the request");
        }
        Request::AssumeRole { .. } => return finding.expected("credentials of the role"),
        Request::GetCallerIdentity => return finding.expected("an assumed role's ARN"),
    };
    let none = Claims::default();
    let claims = claims.as_ref().unwrap_or(&none);
    let is_default = is_default_account(claims);
    let own_audience = !claims.aud.iter().any(|aud| aud == token::audience_of(SourceKind::WebIdentity));
    match refusal.meaning {
        Meaning::NotTrusted => {
            let differs = match own_audience {
                false => "usually the condition on sub differs",
                true => {
                    "the audience is not sts.amazonaws.com, so the condition on aud or the condition on sub may differ"
                }
            };
            let compare = format!(
                "(1) Show the trust policy with the first command; if the command returns NoSuchEntity, the role does \
                 not exist: correct its ARN. (2) Compare the statements with the token: the provider in Federated must \
                 match the token's iss, and the conditions must match its sub and aud; {differs}."
            );
            let finding =
                finding.expected("a role that exists, with a statement in its trust policy that matches this token");
            let [show, replace] = remedies::trust_policy(role_arn);
            match is_default {
                // No trust policy is suggested: it would allow every pod that has no service account of its own.
                true => finding
                    .remedy(format!("{DEFAULT_ACCOUNT}{compare}"))
                    .commands([show, remedies::get_service_account(claims)]),
                false => finding
                    .remedy(format!(
                        "{compare} (3) If this service account should have the role, save the whole policy as \
                         trust.json with the statement below added to its statements, and run the second command, \
                         which replaces the whole policy. If another service account should have the role, set it in \
                         spec.serviceAccountName of the pod template."
                    ))
                    .commands([show, replace])
                    .policy(remedies::web_identity_trust(role_arn, claims)),
            }
        }
        Meaning::WrongAudience => {
            let finding = finding.expected("an audience that the IAM OIDC provider lists");
            finding.commands([remedies::add_audience(role_arn, claims)])
        }
        Meaning::NoProvider | Meaning::InvalidToken => {
            let finding = finding.expected("an IAM OIDC provider for this issuer in the role's account");
            finding.commands(remedies::oidc_provider(claims))
        }
        Meaning::Thumbprint => {
            let finding =
                finding.expected("the thumbprint of the CA that issued the current certificate of the token's issuer");
            let finding = finding.remedy(
                "update the thumbprint of the IAM OIDC provider; the provider does not have to be created again",
            );
            finding.commands([remedies::update_thumbprint(role_arn, claims)])
        }
        _ => finding.expected("credentials"),
    }
}

fn of_agent(finding: Finding, refusal: &AgentRefusal) -> Finding {
    use agent::Meaning;
    let none = Claims::default();
    let claims = refusal.token.claims().unwrap_or(&none);
    let is_default = is_default_account(claims);
    let remedy = finding.remedy.clone().unwrap_or_default();
    match refusal.meaning {
        Meaning::NoAssociation => {
            let finding = finding.expected("an association of this service account with a role");
            match is_default {
                true => finding.remedy(format!("{DEFAULT_ACCOUNT}create an association for it")),
                false => finding
                    .remedy("create the association; it becomes visible after some seconds")
                    .commands([remedies::create_association(claims)]),
            }
        }
        Meaning::AssociationInvalid => finding
            .expected("an association with a role that exists")
            .remedy("check the association, and change it to a role that exists")
            .commands(remedies::update_association(claims, "--role-arn ROLE_ARN")),
        Meaning::RoleDenied => finding
            .expected("a role that trusts pods.eks.amazonaws.com for sts:AssumeRole and sts:TagSession")
            .remedy(format!("{remedy}. To use another role, change the association"))
            .policy(remedies::POD_IDENTITY_TRUST)
            .commands(remedies::update_association(claims, "--role-arn ROLE_ARN")),
        Meaning::PolicyTooLarge => finding
            .expected("session policies and session tags within the size limit")
            .commands(remedies::update_association(claims, "--disable-session-tags")),
        _ => finding.expected("credentials"),
    }
}

fn is_default_account(claims: &Claims) -> bool {
    service_account(claims).is_some_and(|(_, name)| name == "default")
}

/// The technical causes, without those that `observed` already contains.
fn causes(error: &Error, observed: &str) -> Option<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        let said = observed.contains(&text) || texts.iter().any(|before| before.contains(&text));
        if !said && error.downcast_ref::<Error>().is_none() {
            texts.push(text);
        }
        cause = error.source();
    }
    (!texts.is_empty()).then(|| crate::error::one_line(texts.join(": ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::problem::network::Phase;
    use crate::error::problem::peer::{Peer, Server};

    #[test]
    fn problem_of_a_setting_has_the_id_of_the_setting() {
        let path = Setting::ContainerPath { setting: "AWS_CONTAINER_CREDENTIALS_FULL_URI", url: String::new() };
        assert_eq!(id_of_setting(&path), FindingId::ContainerPath);
        assert_eq!(id_of(&Problem::Setting(path)), FindingId::ContainerPath);
        assert_eq!(id_of(&Problem::NotConfigured), FindingId::EnvNone);
        let empty = bad_token::BadToken {
            origin: "AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(),
            what: bad_token::What::Empty,
        };
        assert_eq!(id_of_setting(&Setting::ContainerToken(empty)), FindingId::TokenInvalid);
    }

    #[test]
    fn expected_connection_depends_on_what_failed() {
        use network::What;
        let (host, cause) = (|| "credentials.example".to_owned(), || "the text of the system".to_owned());
        let ip = std::net::IpAddr::from([192, 0, 2, 1]);
        for (what, expected) in [
            (What::Refused, "a server that accepts connections at this address"),
            (What::NotResolved { host: host(), cause: cause() }, "a host name that has an address"),
            (
                What::NotAllowed { host: host(), ip, allowed: "loopback" },
                "an address on this machine or of a link-local agent",
            ),
            (What::NoRoute { cause: cause() }, "a connection"),
            (What::NotConnected { cause: cause() }, "a connection"),
            (What::Closed, "a complete response in time"),
        ] {
            let peer = Peer::new(Server::Container, "http://credentials.example".to_owned(), None);
            let problem = Problem::NoAnswer(Box::new(NoAnswer { peer, phase: Phase::Connect, what }));
            assert_eq!(Finding::of_problem(&problem).expected.as_deref(), Some(expected));
        }
    }
}
