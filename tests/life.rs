//! Providers, callers and runtimes that start and end at different times, over real sockets. The end of one does not
//! affect the others.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod support;

use std::iter::successors;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{LocalPod, StandIn};
use support::{millis, provider, whole, with};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A pod with its own runtime, which runs longer than the runtimes of the test.
struct PodRuntime {
    pod: LocalPod,
    _runtime: Runtime,
}

impl PodRuntime {
    fn start() -> Self {
        support::trace();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { pod: runtime.block_on(LocalPod::start()).unwrap(), _runtime: runtime }
    }
}

/// Waits until the source has got this number of requests.
async fn until_requested(stand_in: &StandIn, times: u64) {
    let requested = async {
        while stand_in.requests() < times {
            yield_now().await;
        }
    };
    timeout(10 * SECOND, requested).await.unwrap();
}

/// Each of a thousand callers times out about ten times before the source responds.
async fn call_with_short_timeouts(stand_in: &StandIn, provider: EksCredentialsProvider) {
    stand_in.set_latency(millis(500));
    let mut changes = provider.subscribe();
    let mut callers = JoinSet::new();
    for _ in 0..1000 {
        let provider = provider.clone();
        callers.spawn(async move {
            let mut timeouts = 0;
            loop {
                match timeout(millis(50), provider.credentials()).await {
                    Ok(served) => break (served.unwrap(), timeouts, Instant::now()),
                    Err(_) => timeouts += 1,
                }
            }
        });
    }
    let refreshed = async {
        changes.wait_for(|status| status.refreshes == 1).await.unwrap();
        Instant::now()
    };
    let refreshed = timeout(10 * SECOND, refreshed).await.unwrap();
    let all = timeout(10 * SECOND, callers.join_all()).await.unwrap();
    let last = all.iter().map(|(_, _, served)| served.saturating_duration_since(refreshed)).max().unwrap();
    println!("the last of 1,000 callers was served {last:?} after the refresh");
    assert!(all.iter().all(|(served, timeouts, _)| *served == all[0].0 && *timeouts > 0));
    assert!(last < SECOND, "{last:?} after the refresh");
    assert_eq!((stand_in.requests(), stand_in.most_at_once()), (1, 1));
}

#[test]
fn callers_that_time_out_every_50_ms_share_one_request() {
    for runtime in [current_thread(), multi_thread()] {
        let PodRuntime { pod, _runtime } = PodRuntime::start();
        runtime.block_on(call_with_short_timeouts(pod.sts(), provider(pod.irsa_env())));
        runtime.block_on(call_with_short_timeouts(pod.agent(), provider(pod.pod_identity_env())));
    }
}

/// The caller that starts the refresh is polled n times and then dropped, for growing n until it is served. It is thus
/// dropped before the refresh task has run, and while the task reads the token, connects, sends, waits and publishes.
async fn drop_at_every_poll(stand_in: &StandIn, env: Vec<(String, String)>) {
    stand_in.set_latency(millis(5));
    let mut moments = 0;
    for n in successors(Some(1_u64), |n| Some(n + n / 8 + 1)) {
        let before = stand_in.requests();
        let provider = provider(env.clone());
        let mut first = tokio_test::task::spawn(provider.credentials());
        let mut served = false;
        for _ in 0..n {
            served = first.poll().is_ready();
            if served {
                break;
            }
            yield_now().await;
        }
        drop(first);
        let second = timeout(10 * SECOND, provider.credentials()).await;
        second.expect("the second caller hangs").unwrap_or_else(|e| panic!("{n} polls: {}", whole(&e)));
        assert_eq!(stand_in.requests() - before, 1, "after {n} polls");
        moments += 1;
        if served {
            break;
        }
    }
    println!("dropped at {moments} moments");
    assert!(moments > 5, "only {moments} moments");
}

#[test]
fn caller_dropped_at_any_poll_does_not_cancel_the_refresh() {
    for runtime in [current_thread(), multi_thread()] {
        let PodRuntime { pod, _runtime } = PodRuntime::start();
        runtime.block_on(drop_at_every_poll(pod.sts(), pod.irsa_env()));
        runtime.block_on(drop_at_every_poll(pod.agent(), pod.pod_identity_env()));
    }
}

#[tokio::test]
async fn select_and_abort_do_not_cancel_the_refresh() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().set_latency(millis(200));
    let provider = provider(pod.irsa_env());
    let mut aborted = JoinSet::new();
    for _ in 0..100 {
        let provider = provider.clone();
        aborted.spawn(async move { provider.credentials().await });
    }
    until_requested(pod.sts(), 1).await;
    aborted.abort_all();
    while let Some(ended) = aborted.join_next().await {
        assert!(ended.unwrap_err().is_cancelled());
    }
    let mut ticks = tokio::time::interval(millis(5));
    let mut cancelled = 0;
    let select = async {
        loop {
            tokio::select! {
                served = provider.credentials() => break served.unwrap(),
                _ = ticks.tick() => cancelled += 1,
            }
        }
    };
    timeout(10 * SECOND, select).await.unwrap();
    assert!(cancelled > 1, "{cancelled} calls were cancelled");
    assert_eq!(pod.sts().requests(), 1);
}

#[test]
fn fetch_survives_the_runtime_of_its_first_caller() {
    let PodRuntime { pod, _runtime } = PodRuntime::start();
    for first in [current_thread(), multi_thread()] {
        let before = pod.sts().requests();
        pod.sts().set_latency(millis(500));
        let provider = provider(pod.irsa_env());
        first.block_on(async {
            let mut call = tokio_test::task::spawn(provider.credentials());
            tokio_test::assert_pending!(call.poll());
            until_requested(pod.sts(), before + 1).await;
        });
        drop(first);
        current_thread().block_on(provider.credentials()).unwrap();
        assert_eq!(pod.sts().requests() - before, 1);
    }
}

/// A minimal executor that polls on the current thread. It is not a tokio runtime, and has no timers and no I/O.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn credentials_can_be_awaited_on_any_executor() {
    let PodRuntime { pod, _runtime } = PodRuntime::start();
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let provider = provider(env);
        let fetched = block_on(provider.credentials()).unwrap();
        assert_eq!(block_on(provider.credentials()).unwrap(), fetched);
        assert_eq!(provider.cached(), Some(fetched.clone()));
        let Poll::Ready(provided) = tokio_test::task::spawn(provider.provide_credentials()).poll() else {
            panic!("the call waits although the credentials are current");
        };
        assert_eq!(provided.unwrap(), fetched);
        block_on(provider.warm_up()).unwrap();
        block_on(provider.credentials_valid_for(SECOND)).unwrap();
    }
    assert_eq!((pod.sts().requests(), pod.agent().requests()), (1, 1));
}

/// A program can build a runtime without `enable_all()`. tokio then panics in code that uses a timer or I/O. The panic
/// hook counts such panics in the whole process, also those that are caught.
#[test]
fn runtime_without_time_or_io_gets_credentials() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let PodRuntime { pod, _runtime } = PodRuntime::start();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.to_string().contains("Tokio 1.x context") {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        hook(info);
    }));
    let bare = Builder::new_current_thread().build().unwrap();
    let no_io = Builder::new_current_thread().enable_time().build().unwrap();
    let no_time = Builder::new_current_thread().enable_io().build().unwrap();
    for runtime in [bare, no_io, no_time] {
        for env in [pod.irsa_env(), pod.pod_identity_env()] {
            runtime.block_on(provider(env).credentials()).unwrap();
        }
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

/// The runtime of the first caller still exists, but it is not polled while the request is in progress.
#[test]
fn unpolled_runtime_does_not_delay_other_callers() {
    let PodRuntime { pod, _runtime } = PodRuntime::start();
    pod.agent().set_latency(millis(200));
    let provider = provider(pod.pod_identity_env());
    let idle = current_thread();
    idle.block_on(async {
        let mut first = tokio_test::task::spawn(provider.credentials());
        assert!(first.poll().is_pending());
        until_requested(pod.agent(), 1).await;
    });
    let began = Instant::now();
    current_thread().block_on(provider.credentials()).unwrap();
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(pod.agent().requests(), 1);
    drop(idle);
}

/// A synchronous program polls its runtime only while it waits for a result.
#[test]
fn refresh_does_not_need_the_program_to_poll_its_runtime() {
    let PodRuntime { pod, _runtime } = PodRuntime::start();
    pod.agent().set_lifetime(4 * SECOND);
    let provider = provider(pod.pod_identity_env());
    let mut changes = provider.subscribe();
    let idle = current_thread();
    let first = idle.block_on(provider.credentials()).unwrap();
    // Another executor waits for the refresh. The runtime of the program is not polled.
    block_on(changes.wait_for(|status| status.refreshes == 2)).unwrap();
    let second = idle.block_on(provider.credentials()).unwrap();
    assert_ne!(first.expiry(), second.expiry());
    assert!(first.expiry().unwrap() > SystemTime::now(), "refreshed only after the expiry");
}

#[test]
fn busy_blocking_threads_do_not_delay_a_fetch() {
    let PodRuntime { pod, _runtime } = PodRuntime::start();
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (busy, (free, blocked)) = (Arc::new(Barrier::new(2)), std::sync::mpsc::channel::<()>());
    runtime.spawn_blocking({
        let busy = Arc::clone(&busy);
        move || {
            busy.wait();
            let _ = blocked.recv();
        }
    });
    busy.wait();
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let began = Instant::now();
        runtime.block_on(provider(env).credentials()).unwrap();
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    }
    drop(free);
}

#[test]
fn static_provider_shares_one_request_between_runtimes() {
    static POD: LazyLock<PodRuntime> = LazyLock::new(PodRuntime::start);
    static PROVIDER: LazyLock<EksCredentialsProvider> = LazyLock::new(|| provider(POD.pod.irsa_env()));
    const RUNTIMES: usize = 4;
    LazyLock::force(&PROVIDER);
    POD.pod.sts().set_latency(millis(300));
    let barrier = Arc::new(Barrier::new(RUNTIMES));
    let threads: Vec<_> = (0..RUNTIMES)
        .map(|n| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                let runtime = if n % 2 == 0 { current_thread() } else { multi_thread() };
                barrier.wait();
                let first = runtime.block_on(PROVIDER.credentials()).unwrap();
                // When all have the credentials, all report at the same time that a service has refused them.
                barrier.wait();
                PROVIDER.invalidate(&first);
                let second = runtime.block_on(async { timeout(10 * SECOND, PROVIDER.credentials()).await.unwrap() });
                // No runtime ends before all callers are served.
                barrier.wait();
                (first, second.unwrap())
            })
        })
        .collect();
    let served: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(served.iter().all(|pair| *pair == served[0]));
    assert_ne!(served[0].0, served[0].1);
    assert_eq!((POD.pod.sts().requests(), POD.pod.sts().most_at_once()), (2, 1));
}

/// The connection is closed when the last provider is dropped, also outside a runtime.
#[tokio::test]
async fn last_provider_closes_the_connection_of_its_fetch() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    for env in [
        with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &server),
        with(pod.pod_identity_env(), "AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{server}/v1/credentials")),
    ] {
        let provider = provider(env);
        let clone = provider.clone();
        let caller = tokio::spawn(async move { clone.credentials().await });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        // The cancelled caller does not close the connection.
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        let mut changes = provider.subscribe();
        std::thread::spawn(move || drop(provider)).join().unwrap();
        timeout(10 * SECOND, stream.read_to_end(&mut request)).await.expect("the connection stays open").unwrap();
        let ended = async { while changes.changed().await.is_ok() {} };
        timeout(10 * SECOND, ended).await.expect("the refresh task is still running");
    }
}
