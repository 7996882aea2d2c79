//! What both stand-ins share: a loopback server, a script of answers, counts, and a record of what was not expected.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::answer::{Answer, Kind};
use super::ledger::{Issued, Ledger};
use super::wire::{Connection, Request, Response};
use crate::clock;

/// How much of a truncated answer is sent: past the headers, into the keys.
const TRUNCATED_BODY: usize = 20;

/// Credentials, or the code and message of an error.
type IssueOutcome = Result<Issued, (String, String)>;
type IssueFuture = Pin<Box<dyn Future<Output = IssueOutcome> + Send>>;
type Issuer = Arc<dyn Fn() -> IssueFuture + Send + Sync>;

/// One protocol: what it demands of a request, and how it writes its answers.
pub(super) trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// The lifetime of the credentials that it issues unless told otherwise.
    const LIFETIME: Duration;

    /// For how long the real thing hands the same credentials out again.
    fn reuse(lifetime: Duration) -> Option<Reuse>;

    /// Whether the request is one that the protocol knows, and if so, what it has earned.
    fn judge(&self, request: &Request, now: SystemTime) -> Verdict;

    fn credentials(&self, request: &Request, issued: &Issued) -> Response;

    /// Who the credentials are that this request earns.
    fn assumed_role_arn(&self, request: &Request) -> String;

    fn refusal(&self, code: &str, message: &str) -> Response;
}

/// An agent's cache.
pub(super) struct Reuse {
    pub(super) renewed_after: Duration,
    pub(super) at_least_left: Duration,
}

pub(super) enum Verdict {
    Grant,
    /// An answer without credentials that the protocol provides for: a refusal, or one to another question.
    Reply(Response),
    /// Nothing that a correct client ever sends.
    Unexpected(Response, String),
}

/// A stand-in on loopback: STS, or the agent. Every answer closes its connection.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    serve: Box<dyn Fn(TcpListener) -> JoinHandle<()> + Send + Sync>,
    /// `None` while it is stopped.
    server: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    name: &'static str,
    ledger: Ledger,
    state: Mutex<State>,
}

struct State {
    script: VecDeque<Answer>,
    always: Answer,
    lifetime: Duration,
    latency: Duration,
    clock_offset: i64,
    issuer: Option<Issuer>,
    last: Option<(Issued, SystemTime)>,
    requests: u64,
    running: u64,
    most_at_once: u64,
    unexpected: Vec<String>,
}

impl StandIn {
    pub(super) async fn start<P: Protocol>(
        name: &'static str,
        address: SocketAddr,
        ledger: Ledger,
        protocol: impl FnOnce(SocketAddr) -> P,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = State {
            script: VecDeque::new(),
            always: Answer::proper(),
            lifetime: P::LIFETIME,
            latency: Duration::ZERO,
            clock_offset: 0,
            issuer: None,
            last: None,
            requests: 0,
            running: 0,
            most_at_once: 0,
            unexpected: Vec::new(),
        };
        let shared = Arc::new(Shared { name, ledger, state: Mutex::new(state) });
        let (served, protocol) = (Arc::clone(&shared), Arc::new(protocol(address)));
        let serve = move |listener| tokio::spawn(serve(listener, Arc::clone(&served), Arc::clone(&protocol)));
        let server = Mutex::new(Some(serve(listener)));
        Ok(Self { address, shared, serve: Box::new(serve), server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends to the answers that are given once each, in order, before [`always`](Self::always) applies (again).
    pub fn then(&self, answer: Answer) -> &Self {
        self.shared.state().script.push_back(answer);
        self
    }

    /// The answer to every request for which [`then`](Self::then) has none. At first [`Answer::proper`].
    pub fn always(&self, answer: Answer) -> &Self {
        self.shared.state().always = answer;
        self
    }

    /// The lifetime of the credentials issued from now on; those issued before are not handed out again. Defaults: an
    /// hour from STS, six from the agent.
    pub fn set_lifetime(&self, lifetime: Duration) -> &Self {
        let mut state = self.shared.state();
        state.lifetime = lifetime;
        state.last = None;
        drop(state);
        self
    }

    /// How long every answer takes, scripted ones included. Default: zero.
    pub fn set_latency(&self, latency: Duration) -> &Self {
        self.shared.state().latency = latency;
        self
    }

    /// By how many seconds its clock is ahead of this machine's (behind, if negative): in the `Date` of its answers, and
    /// when it judges tokens and dates credentials. Default: zero.
    pub fn set_clock_offset(&self, seconds: i64) -> &Self {
        self.shared.state().clock_offset = seconds;
        self
    }

    /// Issues what `issuer` returns instead of random credentials (those of another STS, say), or refuses with the code
    /// and message that it fails with.
    pub fn issue_with<F>(&self, issuer: impl Fn() -> F + Send + Sync + 'static) -> &Self
    where
        F: Future<Output = Result<Issued, (String, String)>> + Send + 'static,
    {
        self.shared.state().issuer = Some(Arc::new(move || Box::pin(issuer())));
        self
    }

    /// Ends it, as the end of its process would: connections under way are cut, new ones refused. Returns when nothing
    /// listens any more.
    pub async fn stop(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.abort();
            // An error says that it was aborted.
            let _ = server.await;
        }
    }

    /// Stops it, and starts it again at the same address, on the current tokio runtime. What a process would forget is
    /// forgotten (the credentials that an agent hands out again); answers, settings and counts stay.
    ///
    /// # Errors
    ///
    /// When its port has been taken meanwhile.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await;
        self.shared.state().last = None;
        let listener = TcpListener::bind(self.address).await?;
        *self.server() = Some((self.serve)(listener));
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that have arrived.
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }

    /// The most requests that were being answered at the same time.
    pub fn most_at_once(&self) -> u64 {
        self.shared.state().most_at_once
    }

    /// What arrived that no correct client sends, and forgets it: what is not asked for makes the pod panic when dropped.
    pub fn take_unexpected(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().unexpected)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(server) = self.server().take() {
            server.abort();
        }
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn")
            .field("name", &self.shared.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn serve<P: Protocol>(listener: TcpListener, shared: Arc<Shared>, protocol: Arc<P>) {
    // Dropped with the server's task, which ends all connections with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, protocol) = (Arc::clone(&shared), Arc::clone(&protocol));
        connections.spawn(async move {
            let mut connection = Connection::new(stream);
            match connection.read_request().await {
                Ok(Some(request)) => {
                    let _busy = shared.begin();
                    answer(&shared, &*protocol, request, connection).await;
                }
                // A client may connect and think better of it.
                Ok(None) => {}
                Err(e) => {
                    shared.state().unexpected.push(format!("{}: not an HTTP request: {e}", shared.name));
                    let refusal = Response::new(400, "text/plain; charset=utf-8", "Bad Request".to_owned());
                    connection.send(&refusal, shared.now()).await;
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer<P: Protocol>(shared: &Arc<Shared>, protocol: &P, request: Request, mut connection: Connection) {
    let (answer, latency) = {
        let mut state = shared.state();
        let answer = state.script.pop_front().unwrap_or_else(|| state.always.clone());
        (answer, state.latency)
    };
    // What a correct client never sends is refused even if a fault is scripted.
    let verdict = protocol.judge(&request, shared.now());
    if let Verdict::Unexpected(response, what) = verdict {
        shared.state().unexpected.push(format!("{}: {what}", shared.name));
        return connection.send(&response, shared.now()).await;
    }
    let pause = latency.saturating_add(answer.delay);
    if !pause.is_zero() {
        sleep(pause).await;
    }
    match (answer.kind, verdict) {
        (Kind::Hang, _) => connection.hang().await,
        (Kind::Reset, _) => connection.reset(),
        (Kind::Close, _) => {}
        (Kind::Http { status, content_type, body }, _) => {
            connection.send(&Response::new(status, &content_type, body), shared.now()).await;
        }
        (Kind::Refuse { code, message }, _) => {
            connection.send(&protocol.refusal(&code, &message), shared.now()).await;
        }
        (_, Verdict::Reply(earned)) => connection.send(&earned, shared.now()).await,
        (kind, _) => {
            let response = match shared.issue::<P>(&kind, protocol.assumed_role_arn(&request)).await {
                Ok(issued) => protocol.credentials(&request, &issued),
                Err((code, message)) => return connection.send(&protocol.refusal(&code, &message), shared.now()).await,
            };
            match kind {
                Kind::Truncated => connection.send_truncated(&response, shared.now(), TRUNCATED_BODY).await,
                _ => connection.send(&response, shared.now()).await,
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.requests += 1;
        state.running += 1;
        state.most_at_once = state.most_at_once.max(state.running);
        Busy(Arc::clone(self))
    }

    /// What its clock says.
    fn now(&self) -> SystemTime {
        let offset = self.state().clock_offset;
        let seconds = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 { clock::system_now() - seconds } else { clock::system_now() + seconds }
    }

    async fn issue<P: Protocol>(&self, kind: &Kind, arn: String) -> IssueOutcome {
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
        self.ledger.note(&issued, arn);
        Ok(issued)
    }
}

/// Counts a request as running until it is answered or its client goes away.
struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}
