//! One real request for credentials by the diagnosis itself. It is not retried, and it does not change the current
//! credentials of the provider.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::{Instant, timeout};

use super::{Finding, FindingId, Setup, Severity, other_address, token};
use crate::clock;
use crate::error::problem::Problem;
use crate::source::{Source, SourceConfig};
use crate::source_kind::SourceKind;
use crate::token_file::Token;

/// Every server accepts a difference between the clocks that is smaller than this.
const DRIFT: Duration = Duration::from_secs(30);
/// From this difference on, AWS services reject signatures.
const SKEW: Duration = Duration::from_secs(300);
/// A healthy response takes tens of milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// Returns the credentials if they can be used.
pub(super) async fn check(
    setup: &Setup,
    config: &SourceConfig,
    source: &Source,
    token: Option<&Token>,
    findings: &mut Vec<Finding>,
) -> Option<Credentials> {
    let (began, limit) = (Instant::now(), source.attempt_timeout());
    let reply = match timeout(limit, source.send(token)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            findings.push(other_address::finding(config, &error).await);
            return None;
        }
        Err(_) => {
            findings.push(other_address::finding(config, &source.timed_out(limit)).await);
            return None;
        }
    };
    let (took, now) = (began.elapsed(), setup.time_source().now());
    findings.extend(reply.date.map(|date| skew(source, now, date)));
    match source.read(&reply, token) {
        Ok(read) => {
            // STS has its own clock. The agent runs on the node and shares its clock.
            let date = reply.date.filter(|_| source.kind() == SourceKind::WebIdentity).unwrap_or(now);
            let lasts = read.credentials.expiry().and_then(|expiry| expiry.duration_since(date).ok());
            let (read, _) = read.on_clock(now);
            findings.extend(fetched(source, &read.credentials, lasts, took, now));
            Some(read.credentials).filter(|credentials| credentials.expiry().is_none_or(|expiry| expiry > now))
        }
        Err(error) => {
            findings.push(Finding::of(&error));
            None
        }
    }
}

fn fetched(
    source: &Source,
    credentials: &Credentials,
    lasts: Option<Duration>,
    took: Duration,
    now: SystemTime,
) -> Vec<Finding> {
    let account = credentials.account_id().map_or("unknown", |account| account.as_str());
    let took_ms = took.as_millis();
    let expiry = credentials.expiry();
    if let Some(expiry) = expiry.filter(|expiry| *expiry <= now) {
        return vec![Finding::of_problem(&Problem::Expired { source: source.kind(), expiry, now })];
    }
    let left = lasts.map_or("without an expiry".to_owned(), |left| format!("for {}", token::roughly(left)));
    let until = expiry.map_or(String::new(), |expiry| format!(", until {}", clock::rfc3339(expiry)));
    let observed =
        format!("{} responded in {took_ms} ms: account {account}, valid {left}{until}", source.peer().name());
    let mut findings = vec![Finding::new(FindingId::FetchOk, observed)];
    if took > SLOW {
        let observed = format!("{} took {took_ms} ms", source.peer().name());
        findings.push(Finding::new(FindingId::FetchSlow, observed).expected("a response within a second").remedy(
            "check the network path to STS, or the agent's log: every start of the pod waits for this response",
        ));
    }
    findings
}

fn skew(source: &Source, now: SystemTime, date: SystemTime) -> Finding {
    let (apart, direction) = match now.duration_since(date) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let (server, roughly) = (source.peer().name(), token::roughly(apart));
    let from_sts = source.kind() == SourceKind::WebIdentity;
    if apart < DRIFT {
        return match from_sts {
            true => Finding::new(
                FindingId::ClockOk,
                format!("the node's clock differs by {roughly} from the clock of {server}"),
            ),
            false => Finding::new(
                FindingId::ClockUnknown,
                format!(
                    "the node's clock was compared only with the clock of {server}, which usually runs on the same node"
                ),
            ),
        };
    }
    let fetches = match from_sts {
        true => "; the request for credentials is not affected, because it is not signed",
        false => "",
    };
    let observed = format!(
        "the node's clock is {roughly} {direction} the clock of {server}; if the clock is wrong by 5 minutes, most AWS \
         services reject signed requests (SignatureDoesNotMatch); S3 rejects them from 15 minutes \
         (RequestTimeTooSkewed){fetches}"
    );
    let severity = if apart >= SKEW { Severity::Error } else { Severity::Warning };
    Finding::new(FindingId::ClockSkew, observed)
        .severity(severity)
        .expected("a difference of less than 30 seconds (from 5 minutes on, it is an error)")
        .remedy(super::remedies::SET_THE_CLOCK)
        .commands(super::remedies::set_the_clock())
}
