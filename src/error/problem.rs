//! What can be wrong, as facts. A problem is decided where it is found, once: an [`Error`] shows it as one line, and a
//! diagnosis as a finding. No text of this crate is ever parsed.
//!
//! | file | problems of |
//! |---|---|
//! | `setting.rs` | variables and settings of the builder |
//! | `token.rs` | the token file |
//! | `network.rs` | attempts without a complete answer |
//! | `answer.rs` | answers that are not in the server's form |
//! | `sts.rs`, `agent.rs` | refusals in the form of STS and of the agent, with the table of each |
//! | `table.rs` | the form of these tables, and the table of all other failures |
#![allow(dead_code, reason = "which of them occur depends on the features")]

pub(crate) mod agent;
pub(crate) mod answer;
pub(crate) mod network;
pub(crate) mod peer;
pub(crate) mod setting;
pub(crate) mod sts;
pub(crate) mod table;
pub(crate) mod token;

use std::time::{Duration, SystemTime};

use self::agent::AgentRefusal;
use self::answer::BadAnswer;
use self::network::NoAnswer;
use self::peer::Peer;
use self::setting::Setting;
use self::sts::StsRefusal;
use self::token::BadToken;
use crate::clock;
use crate::error::verdict::Verdict;
use crate::error::{Error, ErrorKind};
use crate::source_kind::SourceKind;
use crate::variable;

/// When the answer is not of the expected protocol.
const IF_NOT_ITSELF: &str = "check what answers at that address: a proxy or another server may be in its place";
const IF_THROTTLED: &str = "the provider repeats the request; if this lasts, let each process use one provider, start fewer pods at the same time, \
     or ask AWS to raise the account's request rate";

/// Something that is wrong.
#[derive(Debug)]
pub(crate) enum Problem {
    NotConfigured,
    Setting(Setting),
    /// The other source is needed, and no part of it is configured.
    OtherNotConfigured {
        configured: SourceKind,
    },
    Token(BadToken),
    NoAnswer(Box<NoAnswer>),
    BadAnswer(Box<BadAnswer>),
    Sts {
        peer: Peer,
        refusal: Box<StsRefusal>,
    },
    Agent {
        peer: Peer,
        refusal: Box<AgentRefusal>,
    },
    /// What came back had expired at `expiry`.
    Expired {
        source: SourceKind,
        expiry: SystemTime,
        now: SystemTime,
    },
    /// What came back is what a service has refused.
    RefusedAgain {
        source: SourceKind,
    },
    /// Both sources failed.
    FallbackFailed {
        denied: Error,
        second: Error,
    },
    LifetimeTooShort {
        requested: Duration,
        expiry: Option<SystemTime>,
        cause: Option<Error>,
    },
    NoRuntime(Runtime),
    NoOutcomeYet,
    /// Something of this process itself.
    Internal {
        observed: String,
        kind: ErrorKind,
    },
}

/// Why a caller cannot wait.
#[derive(Clone, Debug)]
pub(crate) enum Runtime {
    None,
    /// The operating system gives no more threads.
    NoThread(String),
    Panicked,
}

impl Problem {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotConfigured => ErrorKind::NotConfigured,
            Self::Setting(_) | Self::OtherNotConfigured { .. } => ErrorKind::InvalidConfiguration,
            Self::Token(token) => token.kind(),
            Self::NoAnswer(network) => network.kind(),
            Self::BadAnswer(answer) => answer.kind(),
            Self::Sts { refusal, .. } => refusal.kind,
            Self::Agent { refusal, .. } => refusal.kind,
            Self::Expired { .. } | Self::RefusedAgain { .. } => ErrorKind::ExpiredCredentials,
            Self::FallbackFailed { denied, second } => {
                if second.verdict().serves_expired {
                    second.kind()
                } else {
                    denied.kind()
                }
            }
            // An outage may pass: the caller need not ask for less.
            Self::LifetimeTooShort { cause: Some(cause), .. } => cause.kind(),
            Self::LifetimeTooShort { cause: None, .. } => ErrorKind::LifetimeTooShort,
            Self::NoRuntime(_) => ErrorKind::NoRuntime,
            Self::NoOutcomeYet => ErrorKind::Unavailable,
            Self::Internal { kind, .. } => *kind,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Sts { refusal, .. } => refusal.verdict,
            Self::Agent { refusal, .. } => refusal.verdict,
            // An outage of the fallback may pass, so the whole may.
            Self::FallbackFailed { denied, second } => {
                if second.verdict().serves_expired {
                    second.verdict()
                } else {
                    denied.verdict()
                }
            }
            Self::LifetimeTooShort { cause: Some(cause), .. } => cause.verdict(),
            _ => table::of_kind(self.kind()),
        }
    }

    /// The code that the service gave.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Sts { refusal, .. } => Some(refusal.code.as_str()),
            Self::Agent { refusal, .. } => Some(refusal.code.as_str()).filter(|code| !code.is_empty()),
            _ => None,
        }
    }

    /// What is wrong: names and values, never a secret.
    pub(crate) fn observed(&self) -> String {
        match self {
            Self::NotConfigured => format!(
                "no AWS credentials are configured for this pod: neither {} and {} (IRSA) nor {} or {} (EKS Pod Identity) \
                 are set",
                variable::ROLE_ARN,
                variable::WEB_IDENTITY_TOKEN_FILE,
                variable::CONTAINER_FULL_URI,
                variable::CONTAINER_RELATIVE_URI
            ),
            Self::Setting(setting) => setting.observed(),
            Self::OtherNotConfigured { configured } => {
                format!("only {configured} is configured in this pod, and no part of {}", configured.other())
            }
            Self::Token(token) => token.observed(),
            Self::NoAnswer(network) => network.observed(),
            Self::BadAnswer(answer) => answer.observed(),
            Self::Sts { peer, refusal } => refusal.observed(&peer.name()),
            Self::Agent { peer, refusal } => refusal.observed(&peer.name()),
            Self::Expired { source, expiry, now } => format!(
                "{source} answered with credentials that had expired at {} (it is {} here)",
                clock::rfc3339(*expiry),
                clock::rfc3339(*now)
            ),
            Self::RefusedAgain { source } => {
                format!("{source} has returned the same credentials again that a service has refused")
            }
            Self::FallbackFailed { denied, second } => format!("{denied}; and the fallback failed too: {second}"),
            Self::LifetimeTooShort { requested, expiry, cause } => {
                let expiry = expiry.map_or_else(|| "never".to_owned(), clock::rfc3339);
                let cause = match cause {
                    Some(cause) => format!("fetching newer ones failed: {cause}"),
                    None => "the source has no newer ones".to_owned(),
                };
                format!(
                    "credentials valid for {requested:?} were requested, and the current ones expire at {expiry}; {cause}"
                )
            }
            Self::NoRuntime(Runtime::None) => {
                "credentials must be fetched, and the call is not inside a tokio runtime".to_owned()
            }
            Self::NoRuntime(Runtime::NoThread(error)) => {
                format!("the thread that fetches credentials could not be started ({error})")
            }
            Self::NoRuntime(Runtime::Panicked) => {
                "the task that fetches credentials panicked (its message is on stderr)".to_owned()
            }
            Self::NoOutcomeYet => "no credentials have been fetched yet".to_owned(),
            Self::Internal { observed, .. } => observed.clone(),
        }
    }

    /// What to do. Empty if the rest says it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::NotConfigured => "annotate the service account with eks.amazonaws.com/role-arn or create a Pod Identity \
                                    association, check that the pod identity webhook runs (and for EKS Pod Identity the \
                                    eks-pod-identity-agent add-on), and restart the pod: running pods are never changed"
                .to_owned(),
            Self::Setting(setting) => setting.remedy(),
            Self::OtherNotConfigured { .. } => "set the other source up for the service account too, and restart the pod, so \
                                                that the EKS webhook injects both"
                .to_owned(),
            Self::Token(token) => token.remedy().to_owned(),
            Self::NoAnswer(network) => network.remedy(),
            Self::BadAnswer(answer) => answer.remedy(),
            Self::Sts { peer, refusal } => refusal.remedy(peer.if_failing()),
            Self::Agent { peer, refusal } => refusal.remedy(peer.if_failing()),
            Self::Expired { .. } => "check the node's clock; if it is right, the source serves old credentials in an outage, \
                                     and the request is repeated"
                .to_owned(),
            Self::RefusedAgain { .. } => "they are used until others can be had, and the request is repeated; check whether the \
                                          role was deleted or its sessions were revoked, and that the service's endpoint and \
                                          region are right"
                .to_owned(),
            Self::FallbackFailed { .. } | Self::LifetimeTooShort { cause: Some(_), .. } | Self::Internal { .. } => {
                String::new()
            }
            Self::LifetimeTooShort { cause: None, .. } => "ask for less, or raise the session duration (IRSA: \
                                                           .session_length(..), up to the role's maximum)"
                .to_owned(),
            Self::NoRuntime(Runtime::None) => {
                "call it from async code run by tokio (#[tokio::main], Runtime::block_on)".to_owned()
            }
            Self::NoRuntime(Runtime::NoThread(_)) => {
                "check the limits of the container for processes (pids) and open files".to_owned()
            }
            Self::NoRuntime(Runtime::Panicked) => {
                "it is started again; report the panic, or correct the HTTP client given to the builder".to_owned()
            }
            Self::NoOutcomeYet => "call again".to_owned(),
        }
    }

    /// As one line.
    pub(crate) fn line(&self) -> String {
        let (observed, remedy) = (self.observed(), self.remedy());
        if remedy.is_empty() { observed } else { format!("{observed}; {remedy}") }
    }
}

impl From<Setting> for Problem {
    fn from(setting: Setting) -> Self {
        Self::Setting(setting)
    }
}

impl From<BadToken> for Problem {
    fn from(token: BadToken) -> Self {
        Self::Token(token)
    }
}

#[cfg(test)]
mod tests {
    use super::agent::{Said, Sent};
    use super::*;

    fn by_sts(code: &str) -> Problem {
        let peer = Peer::new(peer::Server::Sts, "https://sts.example".to_owned(), None);
        let request = sts::Request::Assume { role_arn: String::new(), claims: None };
        Problem::Sts { peer, refusal: Box::new(StsRefusal::new(400, code, "", request, str::to_owned)) }
    }

    fn by_agent(code: &str) -> Problem {
        let peer = Peer::new(peer::Server::EksAgent, "http://agent.example".to_owned(), None);
        let refusal = AgentRefusal::new(400, &Said::json(code, ""), Sent::None, str::to_owned);
        Problem::Agent { peer, refusal: Box::new(refusal) }
    }

    fn either(denied: Problem, second: Problem) -> Problem {
        Problem::FallbackFailed { denied: denied.into(), second: second.into() }
    }

    /// Several rows of a table have the same kind and another verdict.
    #[test]
    fn verdict_and_kind_are_those_of_the_refusal_that_decides() {
        use ErrorKind::{Denied, Refused};
        let mistake = || by_sts("ValidationError");
        let missing = || by_agent("ResourceNotFoundException");
        let too_short = |cause| Problem::LifetimeTooShort { requested: Duration::ZERO, expiry: None, cause };
        for (problem, kind, verdict) in [
            (mistake(), Refused, Verdict::MISTAKE),
            (missing(), Denied, Verdict::NOT_VISIBLE_YET),
            // A failure that may pass decides. If both are denials, the first one does.
            (either(by_sts("AccessDenied"), mistake()), Refused, Verdict::MISTAKE),
            (either(missing(), by_sts("AccessDenied")), Denied, Verdict::NOT_VISIBLE_YET),
            (either(by_sts("AccessDenied"), missing()), Denied, Verdict::PERMANENT),
            (too_short(Some(mistake().into())), Refused, Verdict::MISTAKE),
            (too_short(None), ErrorKind::LifetimeTooShort, table::of_kind(ErrorKind::LifetimeTooShort)),
        ] {
            assert_eq!((problem.kind(), problem.verdict()), (kind, verdict), "{problem:?}");
        }
    }
}
