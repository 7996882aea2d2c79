//! A stress test of real providers with many threads and runtimes, for memcheck of valgrind. Memcheck finds reads of
//! uninitialized and of freed memory, and leaks. `EKS_CREDENTIALS_STRESS_SECONDS=n` sets the duration. The test uses
//! only Pod Identity, which needs no TLS.
//!
//! Race detectors were tried on this test, and are not usable with a stable toolchain. drd and helgrind know neither
//! atomics nor the mutexes of std, which are futexes. Each of them stops after a thousand false reports in tokio,
//! hyper, std and this crate. ThreadSanitizer knows atomics, but only in code that it has instrumented, which std is
//! not. A contended mutex is locked inside std, so even eight threads that increment a counter under one mutex are
//! reported as a race.
#![cfg(feature = "pod-identity")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use eks_credentials::testing::LocalPod;
use eks_credentials::{EksCredentialsProvider, ErrorKind};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

/// With this lifetime, credentials are refreshed during the test, and some expire.
const LIFETIME: Duration = Duration::from_secs(4);
const RUNTIMES: usize = 3;
const READERS: usize = 3;

fn seconds() -> u64 {
    std::env::vars().find(|(name, _)| name == "EKS_CREDENTIALS_STRESS_SECONDS").map_or(10, |(_, n)| n.parse().unwrap())
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What all threads share: a provider that is replaced repeatedly, and counters.
struct Shared {
    pod: LocalPod,
    provider: RwLock<EksCredentialsProvider>,
    ended: AtomicBool,
    hits: AtomicU64,
    waits: AtomicU64,
    cancelled: AtomicU64,
    refused: AtomicU64,
}

impl Shared {
    fn provider(&self) -> EksCredentialsProvider {
        self.provider.read().unwrap().clone()
    }

    fn is_running(&self) -> bool {
        !self.ended.load(Relaxed)
    }

    fn count(&self, what: &AtomicU64) {
        what.fetch_add(1, Relaxed);
    }
}

/// Checks that the agent has issued these credentials, and that they are not a mixture of different ones.
fn check(pod: &LocalPod, credentials: &Credentials) {
    let issued = pod.ledger().get(credentials.access_key_id()).expect("the agent has not issued these");
    assert!(issued.secret_access_key == credentials.secret_access_key(), "the secret of other credentials");
    assert!(Some(&*issued.session_token) == credentials.session_token(), "the token of other credentials");
}

/// Reads the cached credentials and the status on a thread outside any runtime.
fn read(shared: &Shared) {
    while shared.is_running() {
        let provider = shared.provider();
        for _ in 0..50 {
            if let Some(credentials) = provider.cached() {
                assert!(credentials.secret_access_key().starts_with("local-secret-"));
                shared.count(&shared.hits);
            }
            let status = provider.status();
            assert!(status.refreshes == 0 || status.expiry.is_some(), "{status:?}");
        }
        thread::yield_now();
    }
}

/// Makes calls on runtimes that end repeatedly, also during fetches.
fn run_callers(shared: &Arc<Shared>, n: usize) {
    while shared.is_running() {
        let runtime = if n.is_multiple_of(2) { current_thread() } else { multi_thread() };
        runtime.block_on(async {
            let until = Instant::now() + Duration::from_millis(700);
            let mut callers = tokio::task::JoinSet::new();
            for patience in [1, 20, 2000, 20_000] {
                let shared = Arc::clone(shared);
                callers.spawn(async move {
                    while shared.is_running() && Instant::now() < until {
                        call(&shared, Duration::from_millis(patience)).await;
                    }
                });
            }
            while timeout(Duration::from_secs(60), callers.join_next()).await.expect("a caller hangs").is_some() {}
            // Starts a refresh that is in progress when the runtime ends.
            let provider = shared.provider();
            if let Some(credentials) = provider.cached() {
                provider.invalidate(&credentials);
            }
            let _ = timeout(Duration::from_millis(2), provider.credentials()).await;
        });
    }
}

async fn call(shared: &Shared, patience: Duration) {
    let provider = shared.provider();
    let typed = fastrand::bool();
    let call =
        async { if typed { provider.credentials().await.map_err(|e| e.kind()) } else { provided(&provider).await } };
    match timeout(patience, call).await {
        Err(_) => shared.count(&shared.cancelled),
        Ok(Ok(credentials)) => {
            check(&shared.pod, &credentials);
            shared.count(&shared.waits);
            if fastrand::u8(..) == 0 {
                provider.invalidate(&credentials);
                shared.count(&shared.refused);
            }
        }
        // Threads run slowly under valgrind, so an attempt can exceed its time limit.
        Ok(Err(kind)) => assert!(matches!(kind, ErrorKind::Timeout), "{kind:?}"),
    }
    sleep(Duration::from_millis(fastrand::u64(..5))).await;
}

async fn provided(provider: &EksCredentialsProvider) -> Result<Credentials, ErrorKind> {
    let provided = provider.provide_credentials().await;
    provided
        .map_err(|e| std::error::Error::source(&e).unwrap().downcast_ref::<eks_credentials::Error>().unwrap().kind())
}

#[test]
#[ignore = "takes long: .ci/run runs it under valgrind"]
fn stress_with_concurrent_runtimes_callers_and_providers() {
    let pod_runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = pod_runtime.block_on(LocalPod::start()).unwrap();
    pod.agent().set_lifetime(LIFETIME);
    pod.agent().set_latency(Duration::from_millis(3));
    let env = pod.pod_identity_env();
    let new_provider = || EksCredentialsProvider::builder().env(env.clone()).build().unwrap();
    let shared = Arc::new(Shared {
        pod,
        provider: RwLock::new(new_provider()),
        ended: AtomicBool::new(false),
        hits: AtomicU64::new(0),
        waits: AtomicU64::new(0),
        cancelled: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let began = Instant::now();
    let mut providers = 1;
    let mut last = shared.provider().subscribe();
    thread::scope(|scope| {
        for n in 0..RUNTIMES {
            let shared = &shared;
            scope.spawn(move || run_callers(shared, n));
        }
        for _ in 0..READERS {
            scope.spawn(|| read(&shared));
        }
        while began.elapsed().as_secs() < seconds() {
            thread::sleep(Duration::from_millis(1300));
            let next = new_provider();
            last = next.subscribe();
            *shared.provider.write().unwrap() = next;
            providers += 1;
        }
        shared.ended.store(true, Relaxed);
    });
    let count = |what: &AtomicU64| what.load(Relaxed);
    let (hits, waits, cancelled) = (count(&shared.hits), count(&shared.waits), count(&shared.cancelled));
    println!(
        "{providers} providers, {hits} hits, {waits} successful calls, {cancelled} cancelled, {} refused, {} requests in {:?}",
        count(&shared.refused),
        shared.pod.agent().requests(),
        began.elapsed()
    );
    assert!(
        hits > 0 && waits > 0 && cancelled > 0,
        "one of these never happened: {hits} hits, {waits} calls, {cancelled} cancelled"
    );
    assert!(shared.pod.agent().requests() >= providers, "not every provider fetched");
    // The refresh task ends when the last provider is dropped.
    let Shared { pod: _pod, provider, .. } = Arc::into_inner(shared).expect("all threads have ended");
    drop(provider);
    let ended = async { while last.changed().await.is_ok() {} };
    let ended = async { timeout(Duration::from_secs(60), ended).await };
    current_thread().block_on(ended).expect("the refresh task is still running");
}
