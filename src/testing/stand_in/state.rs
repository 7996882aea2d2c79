//! The state that the handle of a stand-in and its server share: scripted answers, settings, counts, issued credentials.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::protocol::Protocol;
use crate::clock;
use crate::testing::answer::{Answer, Kind};
use crate::testing::ledger::{Issued, Ledger};

/// Credentials, or the code and message of an error.
pub(super) type IssueOutcome = Result<Issued, (String, String)>;
pub(super) type IssueFuture = Pin<Box<dyn Future<Output = IssueOutcome> + Send>>;
pub(super) type Issuer = Arc<dyn Fn() -> IssueFuture + Send + Sync>;

pub(super) struct Shared {
    pub(super) name: &'static str,
    ledger: Ledger,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) script: VecDeque<Answer>,
    pub(super) always: Answer,
    pub(super) lifetime: Duration,
    pub(super) latency: Duration,
    pub(super) clock_offset: i64,
    pub(super) issuer: Option<Issuer>,
    /// The credentials that a cache would return, and when they were issued.
    pub(super) last: Option<(Issued, SystemTime)>,
    pub(super) requests: u64,
    in_progress: u64,
    pub(super) most_at_once: u64,
    pub(super) unexpected: Vec<String>,
}

impl Shared {
    pub(super) fn new(name: &'static str, lifetime: Duration, ledger: Ledger) -> Self {
        let state = State {
            script: VecDeque::new(),
            always: Answer::proper(),
            lifetime,
            latency: Duration::ZERO,
            clock_offset: 0,
            issuer: None,
            last: None,
            requests: 0,
            in_progress: 0,
            most_at_once: 0,
            unexpected: Vec::new(),
        };
        Self { name, ledger, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request. It is in progress until the returned value is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> InProgress {
        let mut state = self.state();
        state.requests += 1;
        state.in_progress += 1;
        state.most_at_once = state.most_at_once.max(state.in_progress);
        InProgress(Arc::clone(self))
    }

    pub(super) fn record_unexpected(&self, what: &str) {
        self.state().unexpected.push(format!("{}: {what}", self.name));
    }

    pub(super) fn next_answer(&self) -> Answer {
        let mut state = self.state();
        state.script.pop_front().unwrap_or_else(|| state.always.clone())
    }

    /// The time of the stand-in's clock.
    pub(super) fn now(&self) -> SystemTime {
        let offset = self.state().clock_offset;
        let seconds = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 { clock::system_now() - seconds } else { clock::system_now() + seconds }
    }

    pub(super) async fn issue<P: Protocol>(&self, kind: &Kind, arn: String) -> IssueOutcome {
        let now = self.now();
        let (lifetime, issuer, reusable) = {
            let state = self.state();
            let reusable = state.last.as_ref().filter(|(issued, at)| match (kind, P::reuse(state.lifetime)) {
                (Kind::SameAgain, _) => true,
                (Kind::Expired, _) | (_, None) => false,
                (_, Some(reuse)) => now < *at + reuse.renewed_after && now + reuse.at_least_left < issued.expiry,
            });
            (state.lifetime, state.issuer.clone(), reusable.map(|(issued, _)| issued.clone()))
        };
        if let Some(issued) = reusable {
            return Ok(issued);
        }
        let mut issued = match issuer {
            Some(issuer) => issuer().await?,
            None => Issued { expiry: now + lifetime, ..Issued::random(lifetime) },
        };
        if matches!(kind, Kind::Expired) {
            issued.expiry = now - Duration::from_secs(60);
        } else {
            self.state().last = Some((issued.clone(), now));
        }
        self.ledger.insert(&issued, arn);
        Ok(issued)
    }
}

/// Counts a request as in progress until it is answered or its client disconnects.
pub(super) struct InProgress(Arc<Shared>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.state().in_progress -= 1;
    }
}
