//! Refresh tasks that are replaced or that end with their runtime or provider, at any moment.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::super::model::{Clock, Runtime, now, sleep};
use super::harness::{A_WHILE, HOUR, Provider, SECOND, current, hastily, patiently, yield_randomly};
use crate::error::ErrorKind;

/// The fetch takes longer than the gap between two attempts. The task wakes the waiting callers when it is dropped, and
/// the callers learn of its end in no other way.
#[test]
fn runtime_that_ends_during_a_fetch_wakes_waiting_callers() {
    patiently(async || {
        let (provider, first, second) = (Provider::new(), Runtime::new(), Runtime::new());
        provider.set_latency(HOUR);
        drop(first.spawn(provider.call()));
        sleep(SECOND / 2).await;
        let waiting = [second.spawn(provider.call()), second.spawn(provider.call())];
        // Between two checks of the waiting callers.
        sleep(5 * SECOND + SECOND / 4).await;
        provider.set_latency(Duration::ZERO);
        drop(first);
        for caller in waiting {
            assert_eq!(caller.await.unwrap().unwrap(), 1);
        }
        assert_eq!((provider.calls(), now()), (2, 5 * SECOND + 3 * SECOND / 4));
        assert_eq!(provider.most_at_once(), 1);
    });
}

/// A task that was never polled wakes nobody when it is dropped. The callers notice its absence within a second, and
/// the gap between two attempts can follow.
#[test]
fn runtime_that_ends_at_any_moment_blocks_no_caller() {
    patiently(async || {
        let (provider, first, second) = (Provider::new(), Runtime::new(), Runtime::new());
        drop(first.spawn(provider.call()));
        let waiting = [second.spawn(provider.call()), second.spawn(provider.call())];
        yield_randomly().await;
        drop(first);
        for caller in waiting {
            caller.await.unwrap().unwrap();
        }
        assert!(now() <= 2 * SECOND, "{:?}", now());
        assert!(provider.calls() <= 2, "{} calls", provider.calls());
        assert_eq!(provider.most_at_once(), 1);
    });
}

/// The last reference to the provider is dropped by the test or with a cancelled caller, at any step of the refresh
/// task.
#[test]
fn last_provider_leaves_no_task_and_no_secret() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        let (shared, source) = (Arc::clone(&provider.shared), Arc::clone(&provider.source));
        let callers = [runtime.spawn(provider.call()), runtime.spawn(provider.call())];
        drop(provider);
        yield_randomly().await;
        callers.iter().for_each(|caller| caller.abort());
        // A task that was not aborted would still be running at this time.
        Clock::settle(SECOND).await;
        assert_eq!(current(&shared), None, "a secret is left in the cache");
        assert_eq!(Arc::strong_count(&shared), 1, "the refresh task is still running");
        assert_eq!(Arc::strong_count(&source), 2);
        assert!(source.calls.load(Relaxed) <= 1);
    });
}

/// Callers replace refresh tasks that are still running, at any of their steps. Other tasks end with their runtime.
#[test]
fn replaced_task_publishes_nothing() {
    hastily(async || {
        let provider = Provider::with(Duration::ZERO);
        let (first, second) = (Runtime::new(), Runtime::new());
        let callers = [first.spawn(provider.call()), second.spawn(provider.call())];
        let reader = {
            let shared = Arc::clone(&provider.shared);
            second.spawn(async move {
                let mut newest = None;
                for _ in 0..40 {
                    let read = current(&shared);
                    assert!(read >= newest, "{read:?} after {newest:?}");
                    newest = read;
                    shuttle::future::yield_now().await;
                }
                newest
            })
        };
        for caller in callers {
            // In hasty mode, the time limit of an attempt can end before the attempt begins.
            if let Err(error) = caller.await.unwrap() {
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            }
        }
        let newest = reader.await.unwrap();
        Clock::settle(A_WHILE).await;
        assert!(current(&provider.shared) >= newest);
        drop(first);
        let last = second.spawn(provider.call()).await.unwrap();
        assert!(last.is_ok_and(|last| Some(last) >= newest));
        let shared = Arc::clone(&provider.shared);
        drop(provider);
        Clock::settle(A_WHILE).await;
        assert_eq!((current(&shared), Arc::strong_count(&shared)), (None, 1));
    });
}
