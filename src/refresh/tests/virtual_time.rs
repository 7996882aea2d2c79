//! The driver and its callers on virtual time: tokio's paused clock, and a wall clock that follows it and can jump.

mod recovery;
mod simulation;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use tokio::time::{Instant, advance, sleep, timeout};
use tokio_test::{assert_pending, assert_ready_ok};

use crate::clock::skew::ServerTime;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::report::serving;
use crate::refresh::shared::{Place, Shared};
use crate::refresh::state::Policy;
use crate::refresh::status::Health;
use crate::refresh::task::run_on;
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
const HOUR: Duration = secs(3600);

/// Wall time = a fixed moment + the paused clock + what the test has made it jump by.
#[derive(Clone, Debug)]
struct Wall {
    start: Instant,
    jumped: Arc<Mutex<(Duration, Duration)>>,
}

impl Wall {
    fn new() -> Self {
        Self { start: Instant::now(), jumped: Arc::default() }
    }

    fn forward(&self, by: Duration) {
        self.jumped.lock().unwrap().0 += by;
    }

    fn back(&self, by: Duration) {
        self.jumped.lock().unwrap().1 += by;
    }
}

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        let (forward, back) = *self.jumped.lock().unwrap();
        UNIX_EPOCH + secs(1_800_000_000) + self.start.elapsed() + forward - back
    }
}

/// What the upstream does with every request, until told otherwise.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// Credentials of this lifetime, negative included.
    Issue(i64),
    Fail(ErrorKind),
    /// The credentials that were issued last, again.
    Again,
    /// Credentials for an hour of a server whose clock is so many seconds behind the wall clock.
    Skewed(i64),
    /// Credentials that expired so many seconds ago, of a source that may do that.
    PastExpiry(u64),
    /// As before, with the access key of the last ones.
    PastExpiryAgain(u64),
    Hang,
    Panic,
}

#[derive(Debug)]
struct Upstream {
    wall: Wall,
    mode: Mutex<Mode>,
    latency: Mutex<Duration>,
    calls: Mutex<Vec<Instant>>,
    running: AtomicU32,
    most_at_once: AtomicU32,
    issued: AtomicU64,
}

impl Upstream {
    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn call_times(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().clone()
    }
}

struct Running<'a>(&'a Upstream);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Fetch for Upstream {
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
            let answer = async {
                sleep(if matches!(mode, Mode::Hang) { 1000 * HOUR } else { latency }).await;
            };
            if timeout(limit, answer).await.is_err() {
                return Err(Error::internal(ErrorKind::Timeout, "no answer"));
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
                Mode::Panic => panic!("scripted: as of a runtime without I/O"),
            }
        })
    }
}

impl Upstream {
    fn issue(&self, lifetime: i64) -> Fetched {
        let n = self.issued.fetch_add(1, Relaxed);
        let (now, by) = (self.wall.now(), secs(lifetime.unsigned_abs()));
        let expiry = if lifetime < 0 { now - by } else { now + by };
        let credentials = Credentials::new(format!("key-{n}"), "secret", None, Some(expiry), "test");
        Fetched::new(credentials, SourceKind::WebIdentity)
    }
}

struct Bench {
    wall: Wall,
    upstream: Arc<Upstream>,
    shared: Arc<Shared>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shared.close();
    }
}

const POLICY: Policy = Policy { advisory_window: None, startup_timeout: secs(20), serve_expired: true };

impl Bench {
    fn new(mode: Mode) -> Self {
        Self::with(mode, POLICY)
    }

    fn with(mode: Mode, policy: Policy) -> Self {
        let wall = Wall::new();
        let upstream = Arc::new(Upstream {
            wall: wall.clone(),
            mode: Mutex::new(mode),
            latency: Mutex::new(Duration::from_millis(200)),
            calls: Mutex::default(),
            running: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
            issued: AtomicU64::new(0),
        });
        let source: Arc<dyn Fetch> = upstream.clone();
        let shared =
            Arc::new(Shared::new(Ok(source), policy, Some(SharedTimeSource::new(wall.clone())), Place::Callers));
        Self { wall, upstream, shared }
    }

    async fn ask(&self) -> Result<Credentials, Error> {
        self.shared.get(|held| held.credentials.clone()).await
    }

    async fn key(&self) -> String {
        self.ask().await.unwrap().access_key_id().to_owned()
    }

    /// An ask that must not wait: ready at its first poll.
    fn ask_at_once(&self) -> Result<Credentials, Error> {
        let mut ask = std::pin::pin!(self.ask());
        match ask.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("a caller had to wait: {:?}", self.shared.cache.load_full()),
        }
    }

    /// Waits until the next attempt has begun.
    async fn next_attempt(&self) {
        let calls = self.upstream.calls();
        while self.upstream.calls() == calls {
            sleep(secs(1)).await;
        }
    }

    fn elapsed(&self) -> Duration {
        self.wall.start.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_cold_callers_share_one_flight() {
    let bench = Arc::new(Bench::new(Mode::Issue(3600)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let bench = Arc::clone(&bench);
        callers.spawn(async move { bench.key().await });
    }
    while let Some(key) = callers.join_next().await {
        assert_eq!(key.unwrap(), "key-0");
    }
    assert_eq!(bench.upstream.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_caller_cancels_nothing() {
    let bench = Bench::new(Mode::Issue(3600));
    let mut first = tokio_test::task::spawn(bench.ask());
    let mut second = tokio_test::task::spawn(bench.ask());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    sleep(Duration::from_millis(100)).await;
    drop(first);
    sleep(Duration::from_millis(101)).await;
    assert_ready_ok!(second.poll());
    assert_eq!(bench.upstream.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_and_come_again_are_served_by_the_one_flight() {
    let bench = Bench::new(Mode::Issue(3600));
    let mut tries = 0;
    while timeout(Duration::from_millis(50), bench.ask()).await.is_err() {
        tries += 1;
    }
    assert_eq!((tries, bench.upstream.calls()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_month_of_refreshes_without_a_wait() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    for _ in 0..(30 * 24 * 60 * 6) {
        sleep(secs(10)).await;
        let credentials = bench.ask_at_once().unwrap();
        assert!(credentials.expiry().unwrap() > bench.wall.now());
    }
    let gaps: Vec<Duration> = bench.upstream.call_times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    // An hour's window is 15 minutes, and the moment lies in its first half; the first one anywhere after a quarter.
    let (first, last) = (45 * 60, 52 * 60 + 31);
    assert!((15 * 60..=last).contains(&gaps[0].as_secs()), "{gaps:?}");
    let gaps = &gaps[1..];
    assert!(gaps.iter().all(|gap| (first..=last).contains(&gap.as_secs())), "{gaps:?}");
    assert!(gaps.iter().max().unwrap().saturating_sub(*gaps.iter().min().unwrap()) > secs(300), "no jitter: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_second_credentials_asked_for_every_millisecond() {
    let bench = Bench::new(Mode::Issue(10));
    bench.ask().await.unwrap();
    for _ in 0..60_000 {
        sleep(Duration::from_millis(1)).await;
        bench.ask_at_once().unwrap();
    }
    assert!((8..=13).contains(&bench.upstream.calls()), "{}", bench.upstream.calls());
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_before_expiry_costs_nothing() {
    for mode in [Mode::Fail(ErrorKind::Unavailable), Mode::Fail(ErrorKind::Denied), Mode::Hang, Mode::Issue(-60)] {
        let bench = Bench::new(Mode::Issue(3600));
        bench.ask().await.unwrap();
        // The first refresh may come early: of the second credentials it is in the window.
        while bench.shared.status().refreshes < 2 {
            sleep(secs(1)).await;
        }
        let expiry = bench.ask_at_once().unwrap().expiry().unwrap();
        bench.upstream.set(mode);
        while bench.wall.now() < expiry - secs(10) {
            sleep(secs(1)).await;
            bench.ask_at_once().unwrap_or_else(|e| panic!("{mode:?}: {e}"));
        }
        let attempts = bench.upstream.calls() - 2;
        // Hangs take their ten seconds each.
        assert!((3..=20).contains(&attempts), "{mode:?}: {attempts} attempts in 15 minutes at most");
        assert_eq!(bench.shared.status().health, Health::Degraded);
        bench.upstream.set(Mode::Issue(3600));
        sleep(secs(9)).await;
        bench.ask_at_once().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_half_minute_is_enough_to_recover_in() {
    for _ in 0..200 {
        let bench = Bench::new(Mode::Issue(3600));
        bench.ask().await.unwrap();
        bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
        sleep(secs(3570)).await;
        bench.upstream.set(Mode::Issue(3600));
        sleep(secs(29)).await;
        assert_eq!(bench.key().await, "key-1");
        assert_eq!(bench.shared.status().health, Health::Ready);
    }
}

/// An attempt that hangs does not outlast the credentials, though it may take longer than what is left of them.
#[tokio::test(start_paused = true)]
async fn a_source_that_hung_until_five_seconds_before_expiry_has_cost_nothing() {
    for _ in 0..200 {
        let bench = Bench::new(Mode::Issue(3600));
        bench.ask().await.unwrap();
        bench.upstream.set(Mode::Hang);
        sleep(secs(3595)).await;
        bench.upstream.set(Mode::Issue(3600));
        while bench.elapsed() < secs(3605) {
            sleep(Duration::from_millis(100)).await;
            bench.ask_at_once().unwrap();
        }
        assert_eq!(bench.key().await, "key-1");
    }
}

#[tokio::test(start_paused = true)]
async fn after_expiry_recoverable_failures_serve_the_old_credentials_and_recovery_takes_half_a_minute() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Hang);
    while bench.elapsed() < 3 * HOUR {
        sleep(secs(1)).await;
        let asked = Instant::now();
        assert_eq!(bench.key().await, "key-0");
        let allowed = if asked - bench.wall.start < HOUR { Duration::ZERO } else { secs(1) };
        assert!(asked.elapsed() <= allowed, "waited {:?} at {:?}", asked.elapsed(), bench.elapsed());
    }
    assert_eq!(bench.shared.status().health, Health::Expired);
    bench.upstream.set(Mode::Issue(3600));
    // An attempt that hangs, the longest backoff, and the attempt that succeeds.
    sleep(secs(10 + 30 + 1)).await;
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-1");
}

#[tokio::test(start_paused = true)]
async fn without_serve_expired_callers_get_the_last_error_at_once_and_no_call_of_their_own() {
    let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired: false, ..POLICY });
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    while bench.elapsed() < HOUR + secs(1) {
        sleep(secs(1)).await;
        let usable = bench.elapsed() < HOUR;
        assert!(!usable || bench.ask_at_once().is_ok());
    }
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let (calls, from) = (bench.upstream.calls(), bench.elapsed());
    while bench.elapsed() < from + secs(600) {
        sleep(Duration::from_millis(300)).await;
        assert!(bench.ask().await.is_err());
    }
    let attempts = bench.upstream.calls() - calls;
    assert!((20..=90).contains(&attempts), "{attempts} attempts in ten minutes");
    let times = bench.upstream.call_times();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= secs(1)), "closer than a second");
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_never_papered_over_once_credentials_have_expired() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Fail(ErrorKind::Denied));
    sleep(secs(3599)).await;
    bench.ask_at_once().unwrap();
    sleep(secs(2)).await;
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Denied);
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(61)).await;
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-1");
}

/// Not at the next attempt, nor at the next look at the clock. (Only an attempt that is under way then ends first.)
#[tokio::test(start_paused = true)]
async fn expiry_is_told_at_the_moment_it_comes() {
    let bench = Bench::new(Mode::Issue(10));
    bench.ask().await.unwrap();
    let fetched = bench.elapsed();
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    *bench.upstream.latency.lock().unwrap() = Duration::ZERO;
    let mut changes = bench.shared.changes.subscribe();
    changes.wait_for(|status| status.health == Health::Expired).await.unwrap();
    assert_eq!(bench.elapsed() - fetched, secs(10));
}

#[tokio::test(start_paused = true)]
async fn who_waits_briefly_after_expiry_gets_the_denial_that_comes_meanwhile() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(secs(3605)).await;
    assert_eq!(bench.shared.status().health, Health::Expired);
    bench.upstream.set(Mode::Fail(ErrorKind::Denied));
    let calls = bench.upstream.calls();
    while bench.upstream.calls() == calls {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_cold_permanent_error_is_kept_for_those_behind_but_not_for_long() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Denied));
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Denied);
    sleep(Duration::from_millis(900)).await;
    assert_eq!(bench.ask_at_once().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(bench.upstream.calls(), 1);
    // From then on the task asks by itself, and callers get the last error meanwhile.
    sleep(secs(600)).await;
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Denied);
    assert!((15..=60).contains(&bench.upstream.calls()), "{} calls", bench.upstream.calls());
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(61)).await;
    bench.ask_at_once().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_is_patient_for_twenty_seconds() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Unavailable));
    let mut ask = tokio_test::task::spawn(bench.ask());
    assert_pending!(ask.poll());
    sleep(secs(15)).await;
    assert_pending!(ask.poll());
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(3)).await;
    assert_ready_ok!(ask.poll());
    let retries = bench.upstream.calls();
    assert!((8..=40).contains(&retries), "{retries} attempts in 15 s");

    let bench = Bench::new(Mode::Hang);
    assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Timeout);
    let took = bench.elapsed();
    assert!((secs(18)..=secs(20)).contains(&took), "{took:?}");
    // From now on single attempts in the background, and the error at once.
    assert_eq!(bench.ask_at_once().unwrap_err().kind(), ErrorKind::Timeout);
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(2)).await;
    bench.ask_at_once().unwrap();
}

/// The last attempt of a cold start hangs until the budget ends it: why those before it failed says more. What failed by
/// itself, after the whole time of an attempt too, is told as it is.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_startup_budget_cuts_short_hides_no_error() {
    use ErrorKind::{Throttled, Timeout, Unavailable};
    for (at, then, told) in
        [(12, Mode::Hang, Throttled), (12, Mode::Fail(Unavailable), Unavailable), (1, Mode::Hang, Timeout)]
    {
        let bench = Bench::new(Mode::Fail(Throttled));
        let mut ask = tokio_test::task::spawn(bench.ask());
        assert_pending!(ask.poll());
        sleep(secs(at)).await;
        bench.upstream.set(then);
        assert_eq!(ask.await.unwrap_err().kind(), told, "{then:?} after {at} s");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_suspension_past_expiry_the_next_caller_waits_for_fresh_credentials() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.wall.forward(8 * HOUR);
    assert_eq!(bench.key().await, "key-1");
    assert_eq!(bench.upstream.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_suspension_into_the_last_minute_a_caller_waits_a_second_at_most() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.upstream.set(Mode::Hang);
    bench.wall.forward(HOUR - secs(30));
    let before = bench.elapsed();
    assert_eq!(bench.key().await, "key-0");
    assert_eq!(bench.elapsed() - before, secs(1));
    // It has been tried now, so nobody else waits.
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-0");
}

/// Of the last moments half at most: an attempt that fails or hangs must not cost what was at hand.
#[tokio::test(start_paused = true)]
async fn nobody_waits_until_what_was_at_hand_has_expired() {
    for mode in [Mode::Hang, Mode::Fail(ErrorKind::Unavailable), Mode::Fail(ErrorKind::Denied)] {
        let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired: false, ..POLICY });
        bench.ask().await.unwrap();
        bench.upstream.set(mode);
        bench.wall.forward(HOUR - Duration::from_millis(300));
        let asked = Instant::now();
        assert_eq!(bench.key().await, "key-0", "{mode:?}");
        assert_eq!(asked.elapsed(), Duration::from_millis(150));
    }
}

#[tokio::test(start_paused = true)]
async fn without_callers_the_driver_finds_a_jumped_clock_by_itself() {
    let bench = Bench::new(Mode::Issue(3600));
    bench.ask().await.unwrap();
    bench.wall.forward(55 * secs(60));
    sleep(secs(61)).await;
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-1");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_neither_storms_nor_rests_for_hours() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Unavailable));
    bench.ask().await.unwrap_err();
    bench.wall.back(5 * HOUR);
    let calls = bench.upstream.calls();
    let from = bench.elapsed();
    while bench.elapsed() < from + secs(120) {
        sleep(secs(1)).await;
        let _ = bench.ask().await;
    }
    let attempts = bench.upstream.calls() - calls;
    assert!((4..=60).contains(&attempts), "{attempts} attempts in two minutes");
}

#[tokio::test(start_paused = true)]
async fn the_same_credentials_again_are_a_success_and_no_loop() {
    // An agent that renews only when 15 s are left: every answer expires at the same moment until then.
    let bench = Bench::new(Mode::Issue(6 * 3600));
    bench.ask().await.unwrap();
    let expiry = bench.ask_at_once().unwrap().expiry().unwrap();
    while bench.wall.now() < expiry - secs(15) {
        let left = expiry.duration_since(bench.wall.now()).unwrap().as_secs();
        bench.upstream.set(Mode::Issue(i64::try_from(left).unwrap()));
        sleep(secs(1)).await;
        bench.ask_at_once().unwrap();
    }
    let attempts = bench.upstream.calls();
    assert!((4..=20).contains(&attempts), "{attempts} attempts in six hours");
    assert_eq!(bench.shared.status().health, Health::Ready);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_arrive_expired_are_a_failed_refresh() {
    let bench = Bench::new(Mode::Issue(-60));
    let error = bench.ask().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ExpiredCredentials);
    assert!(error.to_string().contains("had expired at"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn invalidated_credentials_are_replaced_for_the_next_caller_only_if_they_are_current() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    sleep(secs(5)).await;
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.key().await, "key-1");
    bench.shared.invalidate(first.access_key_id());
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-1");
    sleep(secs(60)).await;
    assert_eq!(bench.upstream.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_refused_again_and_again_in_an_outage_do_not_make_the_retries_hurry() {
    let bench = Bench::new(Mode::Issue(3600));
    let first = bench.ask().await.unwrap();
    sleep(secs(5)).await;
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    for _ in 0..3000 {
        bench.shared.invalidate(first.access_key_id());
        assert_eq!(bench.ask().await.unwrap_err().kind(), ErrorKind::Unavailable);
        sleep(Duration::from_millis(200)).await;
    }
    let attempts = bench.upstream.calls() - 1;
    assert!((20..=90).contains(&attempts), "{attempts} attempts in ten minutes");
}

/// Whatever makes the refresh fail, and whoever asks how.
#[tokio::test(start_paused = true)]
async fn rejected_credentials_are_not_served_again_after_a_failed_refresh() {
    use ErrorKind::{InvalidConfiguration, Refused, TokenFile, Unavailable};
    for kind in [Unavailable, Refused, TokenFile, InvalidConfiguration] {
        let bench = Bench::new(Mode::Issue(3600));
        let first = bench.ask().await.unwrap();
        sleep(secs(5)).await;
        bench.upstream.set(Mode::Fail(kind));
        bench.shared.invalidate(first.access_key_id());
        assert_eq!(bench.ask().await.unwrap_err().kind(), kind);
        assert_eq!(bench.ask_at_once().unwrap_err().kind(), kind);
        assert!(bench.shared.cached(|_| ()).is_none(), "{kind:?}");
        bench.upstream.set(Mode::Issue(3600));
        sleep(secs(60)).await;
        assert_ne!(bench.ask_at_once().unwrap(), first, "the refresh task has renewed them by itself");
    }
}

#[tokio::test(start_paused = true)]
async fn endless_times_are_times_and_no_panic() {
    let bench = Bench::with(Mode::Fail(ErrorKind::Unavailable), Policy { startup_timeout: Duration::MAX, ..POLICY });
    let mut ask = tokio_test::task::spawn(bench.ask());
    assert_pending!(ask.poll());
    sleep(HOUR).await;
    assert_pending!(ask.poll());
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(3)).await;
    assert_ready_ok!(ask.poll());
    let forever = bench.shared.get_valid_for(Duration::MAX, |_| ()).await;
    assert_eq!(forever.unwrap_err().kind(), ErrorKind::LifetimeTooShort);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_task_is_an_error_and_the_task_goes_on() {
    let bench = Bench::new(Mode::Panic);
    let error = timeout(secs(5), bench.ask()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert!(error.to_string().contains("the task that fetches credentials panicked"), "{error}");
    bench.upstream.set(Mode::Issue(3600));
    sleep(secs(6)).await;
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-0");
    // With usable credentials it costs nothing, and does not storm.
    bench.upstream.set(Mode::Panic);
    let calls = bench.upstream.calls();
    while bench.elapsed() < secs(3590) {
        sleep(secs(1)).await;
        bench.ask_at_once().unwrap();
    }
    let attempts = bench.upstream.calls() - calls;
    assert!((3..=30).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_cold_start_the_status_says_when_it_goes_on() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Unavailable));
    assert_eq!(bench.shared.status().next_fetch, None);
    bench.ask().await.unwrap_err();
    let status = bench.shared.status();
    assert_eq!(status.health, Health::Failed);
    assert!(status.next_fetch.unwrap() > bench.wall.now());
}

#[tokio::test(start_paused = true)]
async fn credentials_valid_for_a_time_are_fetched_if_those_at_hand_are_too_old() {
    let bench = Bench::new(Mode::Issue(3600));
    let ask = async |ttl| bench.shared.get_valid_for(ttl, |held| held.credentials.clone()).await;
    assert_eq!(ask(secs(3000)).await.unwrap().access_key_id(), "key-0");
    sleep(secs(900)).await;
    assert_eq!(ask(secs(3000)).await.unwrap().access_key_id(), "key-1");
    // A minute has not passed: asking the source again would bring nothing better.
    let error = ask(2 * HOUR).await.unwrap_err();
    assert_eq!((error.kind(), bench.upstream.calls()), (ErrorKind::LifetimeTooShort, 2));
    sleep(secs(120)).await;
    assert_eq!(ask(2 * HOUR).await.unwrap_err().kind(), ErrorKind::LifetimeTooShort);
    assert_eq!(bench.upstream.calls(), 3);
    // In an outage the outage is the error, because to ask for less would not help; and what is at hand stays.
    bench.upstream.set(Mode::Fail(ErrorKind::Throttled));
    sleep(secs(120)).await;
    let error = ask(2 * HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.to_string().ends_with("fetching new credentials failed: scripted"), "{error}");
    assert_eq!(ask(Duration::MAX).await.unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-2");
}

#[tokio::test(start_paused = true)]
async fn observers_see_every_change() {
    let bench = Bench::new(Mode::Issue(3600));
    let mut changes = bench.shared.changes.subscribe();
    assert_eq!(changes.borrow_and_update().health, Health::Starting);
    bench.ask().await.unwrap();
    assert_eq!(changes.borrow_and_update().health, Health::Ready);
    bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
    let mut seen = Vec::new();
    while seen.last() != Some(&Health::Expired) {
        changes.changed().await.unwrap();
        let status = changes.borrow_and_update().clone();
        assert_eq!(status.last_error.as_ref().map(Error::kind), Some(ErrorKind::Unavailable));
        assert!(status.next_fetch.unwrap() >= bench.wall.now());
        seen.push(status.health);
    }
    seen.dedup();
    assert_eq!(seen, [Health::Degraded, Health::Expired]);
    assert!(bench.elapsed() >= HOUR && bench.elapsed() < HOUR + secs(2));
    bench.upstream.set(Mode::Issue(3600));
    while !changes.borrow_and_update().is_ready() {
        changes.changed().await.unwrap();
    }
    assert_eq!((changes.borrow().consecutive_failures, changes.borrow().refreshes), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_last_provider_ends_the_driver_and_the_flight() {
    let bench = Bench::new(Mode::Hang);
    let mut ask = tokio_test::task::spawn(bench.ask());
    assert_pending!(ask.poll());
    advance(secs(1)).await;
    drop(ask);
    let upstream = Arc::clone(&bench.upstream);
    assert_eq!(upstream.running.load(Relaxed), 1);
    drop(bench);
    tokio::task::yield_now().await;
    assert_eq!(upstream.running.load(Relaxed), 0);
    sleep(HOUR).await;
    assert_eq!((upstream.calls(), Arc::strong_count(&upstream)), (1, 1));
}

/// Without virtual time: the runtimes are what is tested.
#[test]
fn a_provider_outlives_the_runtime_of_its_driver() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let bench = first.block_on(async { Bench::new(Mode::Issue(3600)) });
    assert_eq!(first.block_on(bench.key()), "key-0");
    drop(first);
    // Usable credentials need no runtime at all.
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-0");
    bench.wall.forward(2 * HOUR);
    let error = bench.ask_at_once().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert_eq!(runtime().block_on(bench.key()), "key-1");
}

#[test]
fn a_runtime_that_dies_in_the_middle_of_a_flight_hands_it_to_the_waiting_caller_of_another() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let bench = Arc::new(first.block_on(async { Bench::new(Mode::Hang) }));
    first.block_on(async { timeout(Duration::from_millis(50), bench.ask()).await.unwrap_err() });
    let waiting = second.spawn({
        let bench = Arc::clone(&bench);
        async move { bench.key().await }
    });
    bench.upstream.set(Mode::Issue(3600));
    drop(first);
    assert_eq!(second.block_on(waiting).unwrap(), "key-0");
    assert_eq!(bench.upstream.calls(), 2);
}

#[test]
fn the_first_ask_after_a_runtime_died_in_an_outage_finds_out_what_the_source_does_by_now() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let bench =
        first.block_on(async { Bench::with(Mode::Fail(ErrorKind::Denied), Policy { serve_expired: false, ..POLICY }) });
    first.block_on(bench.ask()).unwrap_err();
    drop(first);
    bench.upstream.set(Mode::Issue(3600));
    assert_eq!(runtime().block_on(bench.key()), "key-0");
}

#[test]
fn a_driver_on_a_runtime_that_nobody_polls_is_replaced() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (idle, busy) = (runtime(), runtime());
    let bench = idle.block_on(async { Bench::new(Mode::Issue(3600)) });
    assert_eq!(idle.block_on(bench.key()), "key-0");
    bench.wall.forward(2 * HOUR);
    // `idle` is alive, but its driver will not be polled again.
    assert_eq!(busy.block_on(async { timeout(secs(5), bench.key()).await.unwrap() }), "key-1");
    assert_eq!(bench.upstream.most_at_once.load(Relaxed), 1);
}

#[test]
fn outside_a_runtime_a_late_driver_elsewhere_costs_nothing_and_a_missing_answer_is_an_error() {
    let elsewhere = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = elsewhere.block_on(async { Bench::new(Mode::Issue(3600)) });
    assert_eq!(elsewhere.block_on(bench.key()), "key-0");
    bench.wall.forward(HOUR - secs(30));
    assert_eq!(bench.ask_at_once().unwrap().access_key_id(), "key-0");
    bench.wall.forward(HOUR);
    assert_eq!(bench.ask_at_once().unwrap_err().kind(), ErrorKind::NoRuntime);
}

/// Impatient callers, none of whom alone waits as long as a flight may take, find out together that its driver is dead.
#[test]
fn a_flight_on_a_runtime_that_nobody_polls_is_given_up_once_it_is_overdue() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (idle, busy) = (runtime(), runtime());
    let bench = idle.block_on(async { Bench::new(Mode::Hang) });
    idle.block_on(async { timeout(secs(1), bench.ask()).await.unwrap_err() });
    bench.upstream.set(Mode::Issue(3600));
    let waited = busy.block_on(async {
        let began = Instant::now();
        while timeout(Duration::from_millis(1500), bench.ask()).await.is_err() {
            assert!(began.elapsed() < secs(60), "still waiting for a dead driver");
        }
        began.elapsed()
    });
    assert!((secs(15)..secs(30)).contains(&waited), "{waited:?}: a cold flight takes 21 s at most");
}

#[tokio::test(start_paused = true)]
async fn a_task_on_another_runtime_is_cancelled_with_the_future_that_waits_for_it() {
    let (held, dropped) = tokio::sync::oneshot::channel::<()>();
    let task = async move {
        let _held = held;
        std::future::pending::<()>().await;
    };
    let runtime = tokio::runtime::Handle::current();
    let mut waiting = tokio_test::task::spawn(run_on(&runtime, task));
    assert_pending!(waiting.poll());
    drop(waiting);
    assert!(timeout(secs(1), dropped).await.expect("the task goes on").is_err());
}

/// The log says which credentials callers get until a refresh succeeds.
#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_told_with_what_is_served_meanwhile() {
    for serve_expired in [true, false] {
        let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired, ..POLICY });
        let told = || serving(&bench.shared.policy, &bench.shared.cache.load_full(), bench.wall.now());
        assert_eq!(told(), None);
        let expiry = crate::clock::rfc3339(bench.ask().await.unwrap().expiry().unwrap());
        bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
        sleep(HOUR - secs(60)).await;
        assert_eq!(told(), Some(format!("the current credentials are valid until {expiry}")));
        sleep(secs(120)).await;
        assert_eq!(told(), serve_expired.then(|| format!("serving credentials that expired at {expiry}")));
    }
}

/// A `Date` that contradicts the expiry says nothing about this machine's clock, and the timers measure nothing by it.
#[test]
fn times_of_a_server_that_contradict_each_other_are_dropped() {
    let now = UNIX_EPOCH + secs(1_800_000_000);
    let credentials = Credentials::new("key", "secret", None, Some(now + HOUR), "test");
    let dated = |date| Fetched {
        server_time: Some(ServerTime { date, requested: HOUR }),
        ..Fetched::new(credentials.clone(), SourceKind::WebIdentity)
    };
    let (kept, skew) = dated(now).on_clock(now);
    assert!(kept.server_time.is_some() && skew.is_some());
    let (dropped, skew) = dated(now - 72 * HOUR).on_clock(now);
    assert!(dropped.server_time.is_none() && skew.is_none());
    assert_eq!(dropped.credentials.expiry(), credentials.expiry());
}

/// A caller waits for one refresh. When it is polled only after the next one has begun, it gets the result of the first.
#[tokio::test(start_paused = true)]
async fn a_caller_that_is_polled_late_gets_the_answer_that_it_waited_for() {
    let bench = Bench::new(Mode::Fail(ErrorKind::Denied));
    let mut ask = tokio_test::task::spawn(bench.ask());
    assert_pending!(ask.poll());
    sleep(secs(1)).await;
    bench.upstream.set(Mode::Hang);
    // The next attempt follows after one to five seconds.
    sleep(secs(6)).await;
    assert!(bench.shared.cache.load().state().in_progress.is_some());
    let Poll::Ready(outcome) = ask.poll() else { panic!("waits for another refresh") };
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Denied);
}
