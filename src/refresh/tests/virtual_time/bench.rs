//! A provider on virtual time, with a wall clock that can jump and a source whose responses a test chooses.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::skew::ServerTime;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::shared::{Place, Shared};
use crate::refresh::state::Policy;
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

pub(super) const HOUR: Duration = secs(3600);
pub(super) const POLICY: Policy = Policy { advisory_window: None, startup_timeout: secs(20), serve_expired: true };

pub(super) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A wall clock: a fixed time, plus the time since the start on tokio's paused clock, plus the jumps.
#[derive(Clone, Debug)]
pub(super) struct WallClock {
    pub(super) start: Instant,
    /// The total jumps forward and back.
    jumps: Arc<Mutex<(Duration, Duration)>>,
}

impl WallClock {
    fn new() -> Self {
        Self { start: Instant::now(), jumps: Arc::default() }
    }

    pub(super) fn forward(&self, by: Duration) {
        self.jumps.lock().unwrap().0 += by;
    }

    pub(super) fn back(&self, by: Duration) {
        self.jumps.lock().unwrap().1 += by;
    }
}

impl TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        let (forward, back) = *self.jumps.lock().unwrap();
        UNIX_EPOCH + secs(1_800_000_000) + self.start.elapsed() + forward - back
    }
}

/// How the source responds to each request until the mode is changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// New credentials with this lifetime in seconds, which can be negative.
    Issue(i64),
    Fail(ErrorKind),
    /// New credentials for an hour with the access key of the last ones.
    Again,
    /// New credentials for an hour from a server whose clock is this many seconds behind the local clock.
    Skewed(i64),
    /// New credentials that expired this many seconds ago, from a source that may return expired ones.
    PastExpiry(u64),
    /// Like `PastExpiry`, but with the access key of the last ones.
    PastExpiryAgain(u64),
    Hang,
    Panic,
}

#[derive(Debug)]
pub(super) struct ScriptedSource {
    wall: WallClock,
    mode: Mutex<Mode>,
    pub(super) latency: Mutex<Duration>,
    /// The starts of the attempts.
    calls: Mutex<Vec<Instant>>,
    pub(super) running: AtomicU32,
    pub(super) most_at_once: AtomicU32,
    issued: AtomicU64,
}

impl ScriptedSource {
    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(super) fn call_times(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().clone()
    }
}

/// Counts an attempt as running until it is dropped.
struct Running<'a>(&'a ScriptedSource);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Fetch for ScriptedSource {
    fn kind(&self) -> SourceKind {
        SourceKind::WebIdentity
    }

    fn attempt_timeout(&self) -> Duration {
        secs(10)
    }

    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(Instant::now());
            self.most_at_once.fetch_max(self.running.fetch_add(1, Relaxed) + 1, Relaxed);
            let _running = Running(self);
            let mode = *self.mode.lock().unwrap();
            let latency = *self.latency.lock().unwrap();
            let latency = if matches!(mode, Mode::Hang) { 1000 * HOUR } else { latency };
            if timeout(limit, sleep(latency)).await.is_err() {
                return Err(Error::internal(ErrorKind::Timeout, "no response"));
            }
            match mode {
                Mode::Fail(kind) => Err(Error::internal(kind, "scripted")),
                Mode::Issue(lifetime) => Ok(self.issue(lifetime)),
                Mode::Again => {
                    self.issued.fetch_sub(1, Relaxed);
                    Ok(self.issue(3600))
                }
                Mode::Skewed(behind) => {
                    let fetched = self.issue(3600 - behind);
                    let date = fetched.credentials.expiry().unwrap() - HOUR;
                    Ok(Fetched { server_time: Some(ServerTime { date, requested: HOUR }), ..fetched })
                }
                Mode::PastExpiry(ago) => {
                    Ok(Fetched { is_statically_stable: true, ..self.issue(-i64::try_from(ago).unwrap()) })
                }
                Mode::PastExpiryAgain(ago) => {
                    self.issued.fetch_sub(1, Relaxed);
                    Ok(Fetched { is_statically_stable: true, ..self.issue(-i64::try_from(ago).unwrap()) })
                }
                Mode::Hang => unreachable!(),
                Mode::Panic => panic!("scripted: like a runtime without I/O"),
            }
        })
    }
}

impl ScriptedSource {
    fn issue(&self, lifetime: i64) -> Fetched {
        let n = self.issued.fetch_add(1, Relaxed);
        let (now, by) = (self.wall.now(), secs(lifetime.unsigned_abs()));
        let expiry = if lifetime < 0 { now - by } else { now + by };
        let credentials = Credentials::new(format!("key-{n}"), "secret", None, Some(expiry), "test");
        Fetched::new(credentials, SourceKind::WebIdentity)
    }
}

/// A provider with its source and its wall clock.
pub(super) struct Bench {
    pub(super) wall: WallClock,
    pub(super) source: Arc<ScriptedSource>,
    pub(super) shared: Arc<Shared>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Bench {
    pub(super) fn new(mode: Mode) -> Self {
        Self::with(mode, POLICY)
    }

    pub(super) fn with(mode: Mode, policy: Policy) -> Self {
        let wall = WallClock::new();
        let source = Arc::new(ScriptedSource {
            wall: wall.clone(),
            mode: Mutex::new(mode),
            latency: Mutex::new(Duration::from_millis(200)),
            calls: Mutex::default(),
            running: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
            issued: AtomicU64::new(0),
        });
        let fetch: Arc<dyn Fetch> = source.clone();
        let shared =
            Arc::new(Shared::new(Ok(fetch), policy, Some(SharedTimeSource::new(wall.clone())), Place::Callers));
        Self { wall, source, shared }
    }

    pub(super) async fn call(&self) -> Result<Credentials, Error> {
        self.shared.get(|current| current.credentials.clone()).await
    }

    pub(super) async fn key(&self) -> String {
        self.call().await.unwrap().access_key_id().to_owned()
    }

    /// Makes a call that must be ready at its first poll.
    #[track_caller]
    pub(super) fn call_without_waiting(&self) -> Result<Credentials, Error> {
        let call = pin!(self.call());
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("a caller had to wait: {:?}", self.shared.cache.load_full()),
        }
    }

    /// Waits until the next attempt has begun.
    pub(super) async fn next_attempt(&self) {
        let calls = self.source.calls();
        while self.source.calls() == calls {
            sleep(secs(1)).await;
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.wall.start.elapsed()
    }
}
