//! Everything that can go wrong, as typed data. The code that detects a problem classifies it once. An [`Error`] shows
//! the problem as one line, and a diagnosis shows it as a finding. Neither of them parses text.
//!
//! | file | problems of |
//! |---|---|
//! | `setting.rs` | variables and settings of the builder |
//! | `token.rs` | the token file |
//! | `network.rs` | attempts without a complete response |
//! | `answer.rs` | responses that are not in the format of the server |
//! | `sts.rs`, `agent.rs` | refusals in the format of STS and of the agent, with a table for each |
//! | `table.rs` | the row type of these tables, and the table of all other failures |
#![allow(dead_code, reason = "the features decide which of them occur")]

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

/// The remedy for a response that is not of the expected protocol.
const IF_NOT_ITSELF: &str = "check which server responds at that address: it may be a proxy or another server";
const IF_THROTTLED: &str = "the provider retries the request; if this continues, use only one provider in each \
                            process, start fewer pods at the same time, or ask AWS to raise the account's request rate";

/// A problem.
#[derive(Debug)]
pub(crate) enum Problem {
    NotConfigured,
    Setting(Setting),
    /// The other source is needed, but it is not configured at all.
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
    /// The source returned credentials that had expired at `expiry`.
    Expired {
        source: SourceKind,
        expiry: SystemTime,
        now: SystemTime,
    },
    /// The source returned the same credentials that a service has refused.
    RefusedAgain {
        source: SourceKind,
    },
    /// Both sources failed.
    FallbackFailed {
        denied: Error,
        second: Error,
    },
    /// The credentials that would sign `AssumeRole` could not be fetched.
    NoCaller {
        role_arn: String,
        error: Error,
    },
    LifetimeTooShort {
        requested: Duration,
        expiry: Option<SystemTime>,
        cause: Option<Error>,
    },
    NoRuntime(Runtime),
    NoOutcomeYet,
    /// The credentials have expired, and the refresh that replaces them has not ended.
    NotRefreshedYet,
    /// A failure in this process.
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
            Self::NoCaller { error, .. } => error.kind(),
            // The outage is the error: a request for a shorter validity would fail too.
            Self::LifetimeTooShort { cause: Some(cause), .. } => cause.kind(),
            Self::LifetimeTooShort { cause: None, .. } => ErrorKind::LifetimeTooShort,
            Self::NoRuntime(_) => ErrorKind::NoRuntime,
            Self::NoOutcomeYet | Self::NotRefreshedYet => ErrorKind::Unavailable,
            Self::Internal { kind, .. } => *kind,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Sts { refusal, .. } => refusal.verdict,
            Self::Agent { refusal, .. } => refusal.verdict,
            // If the failure of the fallback is transient, the whole failure is transient.
            Self::FallbackFailed { denied, second } => {
                if second.verdict().serves_expired {
                    second.verdict()
                } else {
                    denied.verdict()
                }
            }
            Self::NoCaller { error, .. } => error.verdict().of_parent(),
            Self::LifetimeTooShort { cause: Some(cause), .. } => cause.verdict(),
            _ => table::of_kind(self.kind()),
        }
    }

    /// The error code from the service.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Sts { refusal, .. } => Some(refusal.code.as_str()),
            Self::Agent { refusal, .. } => Some(refusal.code.as_str()).filter(|code| !code.is_empty()),
            Self::NoCaller { error, .. } => error.code(),
            _ => None,
        }
    }

    /// What is wrong, with names and values. Never contains a secret.
    pub(crate) fn observed(&self) -> String {
        match self {
            Self::NotConfigured => format!(
                "no AWS credentials are configured for this pod: neither {} and {} (IRSA) nor {} or {} (EKS Pod \
                 Identity) are set",
                variable::ROLE_ARN,
                variable::WEB_IDENTITY_TOKEN_FILE,
                variable::CONTAINER_FULL_URI,
                variable::CONTAINER_RELATIVE_URI
            ),
            Self::Setting(setting) => setting.observed(),
            Self::OtherNotConfigured { configured } => {
                format!("only {configured} is configured in this pod; {} is not configured", configured.other())
            }
            Self::Token(token) => token.observed(),
            Self::NoAnswer(network) => network.observed(),
            Self::BadAnswer(answer) => answer.observed(),
            Self::Sts { peer, refusal } => refusal.observed(&peer.name()),
            Self::Agent { peer, refusal } => refusal.observed(&peer.name()),
            Self::Expired { source, expiry, now } => format!(
                "{source} returned credentials that had expired at {} (the local time is {})",
                clock::rfc3339(*expiry),
                clock::rfc3339(*now)
            ),
            Self::RefusedAgain { source } => {
                format!("{source} returned the same credentials that a service has refused")
            }
            Self::FallbackFailed { denied, second } => format!("{denied}; the fallback also failed: {second}"),
            Self::NoCaller { role_arn, error } => {
                format!("the credentials that sign AssumeRole for role {role_arn} could not be fetched: {error}")
            }
            Self::LifetimeTooShort { requested, expiry, cause } => {
                let current = match expiry {
                    Some(expiry) => format!("expire at {}", clock::rfc3339(*expiry)),
                    None => "do not last that long".to_owned(),
                };
                let cause = match cause {
                    Some(cause) => format!("fetching new credentials failed: {cause}"),
                    None => "the source returns no credentials that are valid for longer".to_owned(),
                };
                format!(
                    "credentials valid for {requested:?} were requested, but the current credentials {current}; {cause}"
                )
            }
            Self::NoRuntime(Runtime::None) => {
                "credentials must be fetched, but the call was not made in a tokio runtime".to_owned()
            }
            Self::NoRuntime(Runtime::NoThread(error)) => {
                format!("the thread that fetches credentials could not be started ({error})")
            }
            Self::NoRuntime(Runtime::Panicked) => {
                "the task that fetches credentials panicked (the panic message is on stderr)".to_owned()
            }
            Self::NoOutcomeYet => "no credentials have been fetched yet".to_owned(),
            Self::NotRefreshedYet => "the credentials have expired, and new ones are being fetched".to_owned(),
            Self::Internal { observed, .. } => observed.clone(),
        }
    }

    /// What to do. Empty if `observed` already contains it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::NotConfigured => "annotate the service account with eks.amazonaws.com/role-arn or create a Pod \
                                    Identity association, check that the pod identity webhook runs (for EKS Pod \
                                    Identity, also the eks-pod-identity-agent add-on), and create the pod again: the \
                                    webhook does not change existing pods"
                .to_owned(),
            Self::Setting(setting) => setting.remedy(),
            Self::OtherNotConfigured { configured } => format!(
                "set up {} for the service account too, and create the pod again: the EKS webhook then injects the \
                 variables of both sources",
                configured.other()
            ),
            Self::Token(token) => token.remedy().to_owned(),
            Self::NoAnswer(network) => network.remedy(),
            Self::BadAnswer(answer) => answer.remedy(),
            Self::Sts { peer, refusal } => refusal.remedy(peer.if_failing()),
            Self::Agent { peer, refusal } => refusal.remedy(peer.if_failing()),
            Self::Expired { .. } => "check the node's clock; if the clock is correct, the source may return old \
                                     credentials because of an outage; the request is retried"
                .to_owned(),
            Self::RefusedAgain { .. } => {
                "they are used until the source returns other credentials, and the request is retried; check whether \
                 the role was deleted or its sessions were revoked, and whether the endpoint and the region of the \
                 service are correct"
                    .to_owned()
            }
            Self::FallbackFailed { .. }
            | Self::NoCaller { .. }
            | Self::LifetimeTooShort { cause: Some(_), .. }
            | Self::Internal { .. } => String::new(),
            Self::LifetimeTooShort { cause: None, .. } => "request a shorter validity, or increase the session length \
                                                           (IRSA: .session_length(..), up to the role's maximum \
                                                           session duration)"
                .to_owned(),
            Self::NoRuntime(Runtime::None) => {
                "call it from async code that runs on tokio (#[tokio::main], Runtime::block_on)".to_owned()
            }
            Self::NoRuntime(Runtime::NoThread(_)) => {
                "check the container's limits for processes (pids) and open files".to_owned()
            }
            Self::NoRuntime(Runtime::Panicked) => {
                "the task is started again; report the panic, or fix the HTTP client that was passed to the builder"
                    .to_owned()
            }
            Self::NoOutcomeYet | Self::NotRefreshedYet => "call again".to_owned(),
        }
    }

    /// The observation and the remedy in one line.
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
    use crate::error::verdict::Delay;

    fn by_sts(code: &str) -> Problem {
        let peer = Peer::new(peer::Server::Sts, "https://sts.example".to_owned(), None);
        let request = sts::Request::Assume { role_arn: String::new(), claims: None };
        Problem::Sts { peer, refusal: Box::new(StsRefusal::new(400, code, "", request, str::to_owned)) }
    }

    /// The provider of the role sends nothing while its parent has no credentials, so it tries again soon. It has no other source.
    #[test]
    fn problem_of_a_parent_is_retried_soon_and_never_falls_back() {
        for code in ["AccessDenied", "Throttling"] {
            let parent = by_sts(code);
            let (kind, verdict) = (parent.kind(), parent.verdict());
            let role = Problem::NoCaller { role_arn: String::new(), error: parent.into() };
            assert_eq!((role.kind(), role.code()), (kind, Some(code)));
            assert_eq!(role.verdict(), Verdict { falls_back: false, delay: Delay::Soon, ..verdict }, "{code}");
        }
    }

    fn by_agent(code: &str) -> Problem {
        let peer = Peer::new(peer::Server::EksAgent, "http://agent.example".to_owned(), None);
        let refusal = AgentRefusal::new(400, &Said::json(code, ""), Sent::None, str::to_owned);
        Problem::Agent { peer, refusal: Box::new(refusal) }
    }

    fn either(denied: Problem, second: Problem) -> Problem {
        Problem::FallbackFailed { denied: denied.into(), second: second.into() }
    }

    /// Rows of a table can have the same kind and different verdicts, so both are compared.
    #[test]
    fn problem_has_kind_and_verdict_of_the_deciding_refusal() {
        use ErrorKind::{Denied, Refused};
        let mistake = || by_sts("ValidationError");
        let missing = || by_agent("ResourceNotFoundException");
        let too_short = |cause| Problem::LifetimeTooShort { requested: Duration::ZERO, expiry: None, cause };
        for (problem, kind, verdict) in [
            (mistake(), Refused, Verdict::MISTAKE),
            (missing(), Denied, Verdict::NOT_VISIBLE_YET),
            // A transient failure decides. If both are permanent, the first one decides.
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
