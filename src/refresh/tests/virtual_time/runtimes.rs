//! Runtimes that end, that are not polled, or that are missing, and the end of the last provider.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep, timeout};
use tokio_test::assert_pending;

use super::bench::{Bench, HOUR, Mode, POLICY, secs};
use crate::error::ErrorKind;
use crate::refresh::state::Policy;
use crate::refresh::task::run_on;

#[tokio::test(start_paused = true)]
async fn last_provider_ends_the_task_and_the_fetch() {
    let bench = Bench::new(Mode::Hang);
    let mut call = tokio_test::task::spawn(bench.call());
    assert_pending!(call.poll());
    advance(secs(1)).await;
    drop(call);
    let source = Arc::clone(&bench.source);
    assert_eq!(source.running.load(Relaxed), 1);
    drop(bench);
    tokio::task::yield_now().await;
    assert_eq!(source.running.load(Relaxed), 0);
    sleep(HOUR).await;
    assert_eq!((source.calls(), Arc::strong_count(&source)), (1, 1));
}

/// Runs without virtual time, because this test is about runtimes.
#[test]
fn provider_survives_the_runtime_of_its_task() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let bench = first.block_on(async { Bench::new(Mode::Issue(3600)) });
    assert_eq!(first.block_on(bench.key()), "key-0");
    drop(first);
    // Usable credentials are served without any runtime.
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-0");
    bench.wall.forward(2 * HOUR);
    let error = bench.call_without_waiting().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert_eq!(runtime().block_on(bench.key()), "key-1");
}

#[test]
fn runtime_that_ends_during_a_fetch_is_replaced_by_a_caller() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let bench = Arc::new(first.block_on(async { Bench::new(Mode::Hang) }));
    first.block_on(async { timeout(Duration::from_millis(50), bench.call()).await.unwrap_err() });
    let waiting = second.spawn({
        let bench = Arc::clone(&bench);
        async move { bench.key().await }
    });
    bench.source.set(Mode::Issue(3600));
    drop(first);
    assert_eq!(second.block_on(waiting).unwrap(), "key-0");
    assert_eq!(bench.source.calls(), 2);
}

#[test]
fn first_call_after_a_runtime_ended_makes_a_new_attempt() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let bench =
        first.block_on(async { Bench::with(Mode::Fail(ErrorKind::Denied), Policy { serve_expired: false, ..POLICY }) });
    first.block_on(bench.call()).unwrap_err();
    drop(first);
    bench.source.set(Mode::Issue(3600));
    assert_eq!(runtime().block_on(bench.key()), "key-0");
}

#[test]
fn task_on_an_unpolled_runtime_is_replaced() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (idle, busy) = (runtime(), runtime());
    let bench = idle.block_on(async { Bench::new(Mode::Issue(3600)) });
    assert_eq!(idle.block_on(bench.key()), "key-0");
    bench.wall.forward(2 * HOUR);
    // `idle` still exists, but its refresh task is not polled again.
    assert_eq!(busy.block_on(async { timeout(secs(5), bench.key()).await.unwrap() }), "key-1");
    assert_eq!(bench.source.most_at_once.load(Relaxed), 1);
}

#[test]
fn call_outside_a_runtime_serves_usable_credentials_or_fails() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = runtime.block_on(async { Bench::new(Mode::Issue(3600)) });
    assert_eq!(runtime.block_on(bench.key()), "key-0");
    bench.wall.forward(HOUR - secs(30));
    assert_eq!(bench.call_without_waiting().unwrap().access_key_id(), "key-0");
    bench.wall.forward(HOUR);
    assert_eq!(bench.call_without_waiting().unwrap_err().kind(), ErrorKind::NoRuntime);
}

/// Each caller waits for a shorter time than a refresh can take. The overdue task is replaced nevertheless.
#[test]
fn overdue_refresh_on_an_unpolled_runtime_is_replaced() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (idle, busy) = (runtime(), runtime());
    let bench = idle.block_on(async { Bench::new(Mode::Hang) });
    idle.block_on(async { timeout(secs(1), bench.call()).await.unwrap_err() });
    bench.source.set(Mode::Issue(3600));
    let waited = busy.block_on(async {
        let began = Instant::now();
        while timeout(Duration::from_millis(1500), bench.call()).await.is_err() {
            assert!(began.elapsed() < secs(60), "still waiting for a task that is not polled");
        }
        began.elapsed()
    });
    assert!((secs(15)..secs(30)).contains(&waited), "{waited:?}: the refresh of a cold start takes at most 21 s");
}

#[tokio::test(start_paused = true)]
async fn run_on_cancels_the_task_with_its_future() {
    let (alive, dropped) = tokio::sync::oneshot::channel::<()>();
    let task = async move {
        let _dropped_with_the_task = alive;
        std::future::pending::<()>().await;
    };
    let runtime = tokio::runtime::Handle::current();
    let mut waiting = tokio_test::task::spawn(run_on(&runtime, task));
    assert_pending!(waiting.poll());
    drop(waiting);
    assert!(timeout(secs(1), dropped).await.expect("the task was not cancelled").is_err());
}
