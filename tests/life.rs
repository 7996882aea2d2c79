//! How providers, callers and runtimes come and go, over real sockets: whoever ends, nobody else notices.
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

/// A pod that outlives the runtimes of the test.
struct Elsewhere {
    pod: LocalPod,
    _runtime: Runtime,
}

impl Elsewhere {
    fn start() -> Self {
        support::trace();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { pod: runtime.block_on(LocalPod::start()).unwrap(), _runtime: runtime }
    }
}

async fn until_asked(upstream: &StandIn, times: u64) {
    let asked = async {
        while upstream.requests() < times {
            yield_now().await;
        }
    };
    timeout(10 * SECOND, asked).await.unwrap();
}

/// A thousand callers, each of whom gives up ten times before the upstream answers.
async fn storm(upstream: &StandIn, provider: EksCredentialsProvider) {
    upstream.set_latency(millis(500));
    let mut changes = provider.subscribe();
    let mut callers = JoinSet::new();
    for _ in 0..1000 {
        let provider = provider.clone();
        callers.spawn(async move {
            let mut given_up = 0;
            loop {
                match timeout(millis(50), provider.credentials()).await {
                    Ok(served) => break (served.unwrap(), given_up, Instant::now()),
                    Err(_) => given_up += 1,
                }
            }
        });
    }
    let landed = async {
        changes.wait_for(|status| status.refreshes == 1).await.unwrap();
        Instant::now()
    };
    let landed = timeout(10 * SECOND, landed).await.unwrap();
    let all = timeout(10 * SECOND, callers.join_all()).await.unwrap();
    let last = all.iter().map(|(_, _, served)| served.saturating_duration_since(landed)).max().unwrap();
    println!("the last of 1,000 was served {last:?} after the answer");
    assert!(all.iter().all(|(served, given_up, _)| *served == all[0].0 && *given_up > 0));
    assert!(last < SECOND, "{last:?} after the answer");
    assert_eq!((upstream.requests(), upstream.most_at_once()), (1, 1));
}

#[test]
fn a_thousand_callers_that_give_up_every_50_ms_are_served_by_one_call() {
    for runtime in [current_thread(), multi_thread()] {
        let Elsewhere { pod, _runtime } = Elsewhere::start();
        runtime.block_on(storm(pod.sts(), provider(pod.irsa_env())));
        runtime.block_on(storm(pod.agent(), provider(pod.pod_identity_env())));
    }
}

/// The caller that began the flight is polled n times and dropped, for n from 1 until it is served: before the driver
/// ran at all, while it reads the token, connects, sends, waits, and publishes.
async fn drop_at_every_poll(upstream: &StandIn, env: Vec<(String, String)>) {
    upstream.set_latency(millis(5));
    let mut moments = 0;
    for n in successors(Some(1_u64), |n| Some(n + n / 8 + 1)) {
        let before = upstream.requests();
        let provider = provider(env.clone());
        let mut leader = tokio_test::task::spawn(provider.credentials());
        let mut served = false;
        for _ in 0..n {
            served = leader.poll().is_ready();
            if served {
                break;
            }
            yield_now().await;
        }
        drop(leader);
        let follower = timeout(10 * SECOND, provider.credentials()).await;
        follower.expect("the follower hangs").unwrap_or_else(|e| panic!("{n} polls: {}", whole(&e)));
        assert_eq!(upstream.requests() - before, 1, "after {n} polls");
        moments += 1;
        if served {
            break;
        }
    }
    println!("dropped at {moments} moments");
    assert!(moments > 5, "only {moments} moments");
}

#[test]
fn a_caller_dropped_after_any_number_of_polls_leaves_the_flight_to_the_next() {
    for runtime in [current_thread(), multi_thread()] {
        let Elsewhere { pod, _runtime } = Elsewhere::start();
        runtime.block_on(drop_at_every_poll(pod.sts(), pod.irsa_env()));
        runtime.block_on(drop_at_every_poll(pod.agent(), pod.pod_identity_env()));
    }
}

#[tokio::test]
async fn select_and_abort_cancel_nothing() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().set_latency(millis(200));
    let provider = provider(pod.irsa_env());
    let mut aborted = JoinSet::new();
    for _ in 0..100 {
        let provider = provider.clone();
        aborted.spawn(async move { provider.credentials().await });
    }
    until_asked(pod.sts(), 1).await;
    aborted.abort_all();
    while let Some(ended) = aborted.join_next().await {
        assert!(ended.unwrap_err().is_cancelled());
    }
    let mut beat = tokio::time::interval(millis(5));
    let mut cancelled = 0;
    let select = async {
        loop {
            tokio::select! {
                served = provider.credentials() => break served.unwrap(),
                _ = beat.tick() => cancelled += 1,
            }
        }
    };
    timeout(10 * SECOND, select).await.unwrap();
    assert!(cancelled > 1, "{cancelled} asks were cancelled");
    assert_eq!(pod.sts().requests(), 1);
}

#[test]
fn a_fetch_survives_the_runtime_of_the_caller_that_began_it() {
    let Elsewhere { pod, _runtime } = Elsewhere::start();
    for first in [current_thread(), multi_thread()] {
        let before = pod.sts().requests();
        pod.sts().set_latency(millis(500));
        let provider = provider(pod.irsa_env());
        first.block_on(async {
            let mut ask = tokio_test::task::spawn(provider.credentials());
            tokio_test::assert_pending!(ask.poll());
            until_asked(pod.sts(), before + 1).await;
        });
        drop(first);
        current_thread().block_on(provider.credentials()).unwrap();
        assert_eq!(pod.sts().requests() - before, 1);
    }
}

/// An executor that is not tokio's: it polls on this thread, and has neither time nor I/O.
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
fn any_executor_can_wait_for_credentials() {
    let Elsewhere { pod, _runtime } = Elsewhere::start();
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let provider = provider(env);
        let fetched = block_on(provider.credentials()).unwrap();
        assert_eq!(block_on(provider.credentials()).unwrap(), fetched);
        assert_eq!(provider.cached(), Some(fetched.clone()));
        let Poll::Ready(provided) = tokio_test::task::spawn(provider.provide_credentials()).poll() else {
            panic!("a wait for what is at hand");
        };
        assert_eq!(provided.unwrap(), fetched);
        block_on(provider.warm_up()).unwrap();
        block_on(provider.credentials_valid_for(SECOND)).unwrap();
    }
    assert_eq!((pod.sts().requests(), pod.agent().requests()), (1, 1));
}

/// Built by hand, with `enable_all()` forgotten. tokio panics in whoever needs what is missing, and a panic message would
/// be on stderr even if the panic were caught: this thread notices every panic of the process.
#[test]
fn a_runtime_without_time_or_io_gets_credentials_and_nothing_panics() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let Elsewhere { pod, _runtime } = Elsewhere::start();
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

/// The first caller's runtime is alive, but nobody polls it any more while the agent is asked.
#[test]
fn a_runtime_that_is_not_polled_delays_nobody_else() {
    let Elsewhere { pod, _runtime } = Elsewhere::start();
    pod.agent().set_latency(millis(200));
    let provider = provider(pod.pod_identity_env());
    let idle = current_thread();
    idle.block_on(async {
        let mut first = tokio_test::task::spawn(provider.credentials());
        assert!(first.poll().is_pending());
        until_asked(pod.agent(), 1).await;
    });
    let began = Instant::now();
    current_thread().block_on(provider.credentials()).unwrap();
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(pod.agent().requests(), 1);
    drop(idle);
}

/// A synchronous program: it drives its runtime only while it waits for something.
#[test]
fn credentials_are_refreshed_while_the_runtime_of_the_program_rests() {
    let Elsewhere { pod, _runtime } = Elsewhere::start();
    pod.agent().set_lifetime(4 * SECOND);
    let provider = provider(pod.pod_identity_env());
    let mut changes = provider.subscribe();
    let resting = current_thread();
    let first = resting.block_on(provider.credentials()).unwrap();
    // Another executor waits for the news. The program's runtime is not polled.
    block_on(changes.wait_for(|status| status.refreshes == 2)).unwrap();
    let second = resting.block_on(provider.credentials()).unwrap();
    assert_ne!(first.expiry(), second.expiry());
    assert!(first.expiry().unwrap() > SystemTime::now(), "renewed only after expiry");
}

#[test]
fn busy_blocking_threads_of_the_program_delay_no_fetch() {
    let Elsewhere { pod, _runtime } = Elsewhere::start();
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
fn runtimes_side_by_side_share_a_static_provider_and_its_one_flight() {
    static ELSEWHERE: LazyLock<Elsewhere> = LazyLock::new(Elsewhere::start);
    static PROVIDER: LazyLock<EksCredentialsProvider> = LazyLock::new(|| provider(ELSEWHERE.pod.irsa_env()));
    const RUNTIMES: usize = 4;
    LazyLock::force(&PROVIDER);
    ELSEWHERE.pod.sts().set_latency(millis(300));
    let together = Arc::new(Barrier::new(RUNTIMES));
    let threads: Vec<_> = (0..RUNTIMES)
        .map(|n| {
            let together = Arc::clone(&together);
            std::thread::spawn(move || {
                let runtime = if n % 2 == 0 { current_thread() } else { multi_thread() };
                together.wait();
                let first = runtime.block_on(PROVIDER.credentials()).unwrap();
                // Once all have them, all say at once that a service has refused them.
                together.wait();
                PROVIDER.invalidate(&first);
                let second = runtime.block_on(async { timeout(10 * SECOND, PROVIDER.credentials()).await.unwrap() });
                // Each keeps its runtime, and perhaps the driver, until all are served.
                together.wait();
                (first, second.unwrap())
            })
        })
        .collect();
    let served: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(served.iter().all(|pair| *pair == served[0]));
    assert_ne!(served[0].0, served[0].1);
    assert_eq!((ELSEWHERE.pod.sts().requests(), ELSEWHERE.pod.sts().most_at_once()), (2, 1));
}

/// The server sees the end of the connection, wherever the last provider is dropped.
#[tokio::test]
async fn the_last_provider_closes_the_connection_of_the_fetch_under_way() {
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
        // One caller less is no reason to hang up.
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        let mut changes = provider.subscribe();
        std::thread::spawn(move || drop(provider)).join().unwrap();
        timeout(10 * SECOND, stream.read_to_end(&mut request)).await.expect("the connection stays open").unwrap();
        let ended = async { while changes.changed().await.is_ok() {} };
        timeout(10 * SECOND, ended).await.expect("the driver lives on");
    }
}
