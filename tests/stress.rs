//! Everything at once on the real thing, for valgrind's memcheck, which sees what is read uninitialised or after it was
//! freed, and what is lost. `EKS_CREDENTIALS_STRESS_SECONDS=n` says for how long. Pod Identity alone: plain http, so that
//! no time goes into TLS.
//!
//! The detectors of races are of no use on a stable toolchain, tried on this test. drd and helgrind know neither atomics
//! nor std's mutexes, which are futexes: each stops at a thousand "races", in tokio, hyper and std as much as here.
//! ThreadSanitizer knows atomics, but only in code that it has compiled, and std's own is not: where a mutex is contended
//! it is locked inside std, unseen, so that eight threads that count under one mutex are a "race" already.
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

/// So short that each provider refreshes several times in its life, and some credentials run out.
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

/// What all threads share: a provider that is replaced again and again, and what was counted.
struct Stage {
    pod: LocalPod,
    provider: RwLock<EksCredentialsProvider>,
    over: AtomicBool,
    hits: AtomicU64,
    waits: AtomicU64,
    cancelled: AtomicU64,
    refused: AtomicU64,
}

impl Stage {
    fn provider(&self) -> EksCredentialsProvider {
        self.provider.read().unwrap().clone()
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Relaxed)
    }

    fn count(&self, what: &AtomicU64) {
        what.fetch_add(1, Relaxed);
    }
}

/// As the agent issued them: no half of others.
fn check(pod: &LocalPod, credentials: &Credentials) {
    let issued = pod.ledger().get(credentials.access_key_id()).expect("nobody issued these");
    assert!(issued.secret_access_key == credentials.secret_access_key(), "the secret of others");
    assert!(Some(&*issued.session_token) == credentials.session_token(), "the token of others");
}

/// A thread outside any runtime: what is at hand, and what can be said without waiting.
fn read(stage: &Stage) {
    while stage.goes_on() {
        let provider = stage.provider();
        for _ in 0..50 {
            if let Some(credentials) = provider.cached() {
                assert!(credentials.secret_access_key().starts_with("local-secret-"));
                stage.count(&stage.hits);
            }
            let status = provider.status();
            assert!(status.refreshes == 0 || status.expiry.is_some(), "{status:?}");
        }
        thread::yield_now();
    }
}

/// A thread with a runtime of its own, which ends again and again, also in the middle of fetches.
fn ask(stage: &Arc<Stage>, n: usize) {
    while stage.goes_on() {
        let runtime = if n.is_multiple_of(2) { current_thread() } else { multi_thread() };
        runtime.block_on(async {
            let until = Instant::now() + Duration::from_millis(700);
            let mut callers = tokio::task::JoinSet::new();
            for patience in [1, 20, 2000, 20_000] {
                let stage = Arc::clone(stage);
                callers.spawn(async move {
                    while stage.goes_on() && Instant::now() < until {
                        call(&stage, Duration::from_millis(patience)).await;
                    }
                });
            }
            while timeout(Duration::from_secs(60), callers.join_next()).await.expect("a caller hangs").is_some() {}
            // A flight for the end of the runtime to meet.
            let provider = stage.provider();
            if let Some(credentials) = provider.cached() {
                provider.invalidate(&credentials);
            }
            let _ = timeout(Duration::from_millis(2), provider.credentials()).await;
        });
    }
}

async fn call(stage: &Stage, patience: Duration) {
    let provider = stage.provider();
    let typed = fastrand::bool();
    let asked =
        async { if typed { provider.credentials().await.map_err(|e| e.kind()) } else { provided(&provider).await } };
    match timeout(patience, asked).await {
        Err(_) => stage.count(&stage.cancelled),
        Ok(Ok(credentials)) => {
            check(&stage.pod, &credentials);
            stage.count(&stage.waits);
            if fastrand::u8(..) == 0 {
                provider.invalidate(&credentials);
                stage.count(&stage.refused);
            }
        }
        // Threads are starved under these tools: an attempt may not come to its end in time.
        Ok(Err(kind)) => assert!(matches!(kind, ErrorKind::Timeout), "{kind:?}"),
    }
    sleep(Duration::from_millis(fastrand::u64(..5))).await;
}

async fn provided(provider: &EksCredentialsProvider) -> Result<Credentials, ErrorKind> {
    let answer = provider.provide_credentials().await;
    answer.map_err(|e| std::error::Error::source(&e).unwrap().downcast_ref::<eks_credentials::Error>().unwrap().kind())
}

#[test]
#[ignore = "long, and meant for valgrind: .ci/run runs it there"]
fn readers_callers_runtimes_and_providers_come_and_go_all_at_once() {
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pod = elsewhere.block_on(LocalPod::start()).unwrap();
    pod.agent().set_lifetime(LIFETIME);
    pod.agent().set_latency(Duration::from_millis(3));
    let env = pod.pod_identity_env();
    let fresh = || EksCredentialsProvider::builder().env(env.clone()).build().unwrap();
    let stage = Arc::new(Stage {
        pod,
        provider: RwLock::new(fresh()),
        over: AtomicBool::new(false),
        hits: AtomicU64::new(0),
        waits: AtomicU64::new(0),
        cancelled: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let began = Instant::now();
    let mut providers = 1;
    let mut last = stage.provider().subscribe();
    thread::scope(|scope| {
        for n in 0..RUNTIMES {
            let stage = &stage;
            scope.spawn(move || ask(stage, n));
        }
        for _ in 0..READERS {
            scope.spawn(|| read(&stage));
        }
        while began.elapsed().as_secs() < seconds() {
            thread::sleep(Duration::from_millis(1300));
            let next = fresh();
            last = next.subscribe();
            *stage.provider.write().unwrap() = next;
            providers += 1;
        }
        stage.over.store(true, Relaxed);
    });
    let count = |what: &AtomicU64| what.load(Relaxed);
    let (hits, waits, cancelled) = (count(&stage.hits), count(&stage.waits), count(&stage.cancelled));
    println!(
        "{providers} providers, {hits} hits, {waits} answers, {cancelled} cancelled, {} refused, {} requests in {:?}",
        count(&stage.refused),
        stage.pod.agent().requests(),
        began.elapsed()
    );
    assert!(hits > 0 && waits > 0 && cancelled > 0, "somebody did nothing");
    assert!(stage.pod.agent().requests() >= providers, "not every provider fetched");
    // The last provider takes its driver along, wherever that runs.
    let Stage { pod: _pod, provider, .. } = Arc::into_inner(stage).expect("all threads have ended");
    drop(provider);
    let ended = async { while last.changed().await.is_ok() {} };
    let ended = async { timeout(Duration::from_secs(60), ended).await };
    current_thread().block_on(ended).expect("the driver lives on");
}
