//! Callers that wait, are cancelled, or report a refusal, in any order.

use std::sync::Arc;
use std::time::Duration;

use super::super::model::{Clock, Runtime, now, sleep};
use super::harness::{A_WHILE, HOUR, Provider, SECOND, current, patiently, yield_randomly};
use crate::error::ErrorKind;
use crate::refresh::state::Refusal;

#[test]
fn cold_start_serves_callers_of_two_runtimes_with_one_request() {
    patiently(async || {
        let (provider, first, second) = (Provider::new(), Runtime::new(), Runtime::new());
        let callers = [first.spawn(provider.call()), first.spawn(provider.call()), second.spawn(provider.call())];
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap(), 0);
        }
        assert_eq!((provider.calls(), now()), (1, Duration::ZERO));
    });
}

#[test]
fn cancelled_caller_loses_no_wake_up() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        let first = runtime.spawn(provider.call());
        let others = [runtime.spawn(provider.call()), runtime.spawn(provider.call())];
        yield_randomly().await;
        first.abort();
        for other in others {
            assert_eq!(other.await.unwrap().unwrap(), 0);
        }
        assert_eq!((provider.calls(), now()), (1, Duration::ZERO));
    });
}

#[test]
fn cancelled_callers_leave_the_refresh_to_the_next_caller() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        let cancelled = [runtime.spawn(provider.call()), runtime.spawn(provider.call())];
        yield_randomly().await;
        cancelled.iter().for_each(|caller| caller.abort());
        assert_eq!(runtime.spawn(provider.call()).await.unwrap().unwrap(), 0);
        assert_eq!((provider.calls(), now()), (1, Duration::ZERO));
    });
}

#[test]
fn callers_that_find_the_task_ended_start_only_one_task() {
    patiently(async || {
        let (provider, first) = (Provider::new(), Runtime::new());
        assert_eq!(first.spawn(provider.call()).await.unwrap().unwrap(), 0);
        drop(first);
        sleep(2 * HOUR).await;
        let (second, third) = (Runtime::new(), Runtime::new());
        let callers = [second.spawn(provider.call()), third.spawn(provider.call()), third.spawn(provider.call())];
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap(), 1);
        }
        assert_eq!((provider.calls(), now()), (2, 2 * HOUR));
    });
}

/// The task is called once when it reads the clock, and once between two such reads.
#[test]
fn idle_refresh_task_wakes_immediately() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        assert_eq!(runtime.spawn(provider.call()).await.unwrap().unwrap(), 0);
        let mut elapsed = Duration::ZERO;
        for (n, pause) in [(1, 120 * SECOND), (2, 70 * SECOND)] {
            sleep(pause).await;
            elapsed += pause;
            // No credentials are valid for this long. The calls force a refresh, and both get an error after it.
            let both = [(); 2].map(|()| {
                let provider = Arc::clone(&provider);
                runtime.spawn(async move { provider.shared.get_valid_for(2 * HOUR, |_| ()).await })
            });
            for caller in both {
                assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::LifetimeTooShort);
            }
            assert_eq!((current(&provider.shared), now()), (Some(n), elapsed));
        }
    });
}

#[test]
fn refused_credentials_are_not_returned_to_later_callers() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        assert_eq!(runtime.spawn(provider.call()).await.unwrap().unwrap(), 0);
        sleep(2 * A_WHILE).await;
        // No credentials are valid for this long. The call forces a refresh, and gets an error after it.
        let longer = Arc::clone(&provider);
        let forcing = runtime.spawn(async move { longer.shared.get_valid_for(2 * HOUR, |_| ()).await });
        let (invalidate, call) = (provider.invalidate(0), provider.call());
        let refused = runtime.spawn(async move {
            invalidate.await;
            call.await
        });
        let third = runtime.spawn(provider.call());
        let refreshed = refused.await.unwrap().unwrap();
        assert_ne!(refreshed, 0, "a service has refused these");
        third.await.unwrap().unwrap();
        assert_eq!(forcing.await.unwrap().unwrap_err().kind(), ErrorKind::LifetimeTooShort);
        // A later refusal of the old credentials does not affect the new ones.
        runtime.spawn(provider.invalidate(0)).await.unwrap();
        let newest = runtime.spawn(provider.call()).await.unwrap().unwrap();
        assert!(newest >= refreshed);
        assert_eq!(now(), 2 * A_WHILE);
        Clock::settle(A_WHILE).await;
        // A refusal of the old credentials while the new ones are published does not affect the new ones. A refresh
        // that is forced while another one ends is not repeated.
        assert_eq!((provider.calls(), provider.most_at_once()), (2, 1));
        let entry = provider.shared.cache.load_full();
        assert!(
            entry.state().in_progress.is_none() && !entry.state().forced && entry.state().refusal == Refusal::None,
            "{entry:?}"
        );
    });
}
