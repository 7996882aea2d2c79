//! One real fetch, of the diagnosis's own: what is served is not touched, and nothing is tried again.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::{Instant, timeout};

use super::{Finding, FindingId, Setup, Severity, other_address, token};
use crate::clock;
use crate::error::problem::Problem;
use crate::source::{Source, SourceConfig};
use crate::source_kind::SourceKind;
use crate::token_file::Token;

/// A difference between clocks that no server minds, and one from which on AWS refuses signatures.
const DRIFT: Duration = Duration::from_secs(30);
const SKEW: Duration = Duration::from_secs(300);
/// A healthy answer takes tens of milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// The credentials, if there are any that could be used.
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
            // By the server's clock, if it has one of its own.
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
    let observed = format!("{} answered in {took_ms} ms: account {account}, valid {left}{until}", source.peer().name());
    let mut findings = vec![Finding::new(FindingId::FetchOk, observed)];
    if took > SLOW {
        let observed = format!("{} took {took_ms} ms", source.peer().name());
        findings.push(
            Finding::new(FindingId::FetchSlow, observed)
                .expected("an answer within a second")
                .remedy("check the network path to STS, or the agent's log: every start of the pod waits for this"),
        );
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
            true => Finding::new(FindingId::ClockOk, format!("it differs by {roughly} from the clock of {server}")),
            false => Finding::new(
                FindingId::ClockUnknown,
                format!("it was compared only with the clock of {server}, which usually runs on the same node"),
            ),
        };
    }
    let fetches = match from_sts {
        true => "; it does not affect the request for credentials, which is not signed",
        false => "",
    };
    let observed = format!(
        "the node's clock is {roughly} {direction} the clock of {server}; most AWS services refuse requests that are signed \
         with a clock 5 minutes off (SignatureDoesNotMatch), S3 from 15 minutes on (RequestTimeTooSkewed){fetches}"
    );
    let severity = if apart >= SKEW { Severity::Error } else { Severity::Warning };
    Finding::new(FindingId::ClockSkew, observed)
        .severity(severity)
        .expected("a difference of less than 30 seconds; from 5 minutes on it is an error")
        .remedy(super::SET_THE_CLOCK)
        .commands(super::remedies::set_the_clock())
}
