//! One look at the source that does not serve, beside the driver's life: it delays nothing and ends with it.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::{Driver, expiry_text};
use crate::clock;
use crate::probe::{Granted, Probe};
use crate::refresh::cache::Held;

/// `life`, and `look` beside it for as long as it takes. A look that panics is over: the life goes on.
pub(super) async fn beside<T>(life: impl Future<Output = T>, look: impl Future<Output = ()>) -> T {
    let (mut life, mut look) = (pin!(life), pin!(look));
    let mut looking = true;
    poll_fn(|context| {
        if looking {
            looking = matches!(catch_unwind(AssertUnwindSafe(|| look.as_mut().poll(context))), Ok(Poll::Pending));
        }
        life.as_mut().poll(context)
    })
    .await
}

impl Driver {
    /// Once in the provider's life, when the preferred source has granted something to compare with.
    pub(super) async fn look_at_the_other(&self) {
        let Some(probe) = self.source.shadow() else { return };
        let mut changes = self.shared.changes.subscribe();
        while !self.serves_the_preferred() {
            if changes.changed().await.is_err() {
                return;
            }
        }
        if self.shared.cache.load().shadow.is_some() {
            return;
        }
        let probe = probe.await;
        let before = self.shared.cache.load_full();
        if let Some(held) = &before.held {
            report(&probe, held);
        }
        if self.publish(|entry| entry.shadow = Some(probe)) {
            self.tell(self.shared.now());
        }
    }

    fn serves_the_preferred(&self) -> bool {
        self.shared.cache.load().held.as_ref().is_some_and(|held| held.source == self.source.kind())
    }
}

fn report(probe: &Probe, held: &Held) {
    let (source, serving) = (probe.source.as_str(), held.source.as_str());
    let latency_ms = u64::try_from(probe.latency.as_millis()).unwrap_or(u64::MAX);
    let Granted { account, expiry, .. } = match &probe.outcome {
        Ok(granted) => granted,
        Err(error) => {
            tracing::warn!(source, serving, latency_ms, %error, "the source that does not serve would not work");
            return;
        }
    };
    let expiry = expiry.map_or_else(|| "never".to_owned(), clock::rfc3339);
    let serving_account = held.credentials.account_id().map(|account| account.as_str());
    let serving_expiry = expiry_text(&held.credentials);
    match (account.as_deref(), serving_account) {
        (Some(account), Some(serving_account)) if account != serving_account => {
            tracing::warn!(
                source,
                serving,
                account,
                serving_account,
                "the source that does not serve would work, but for another account"
            );
        }
        (account, _) => {
            tracing::info!(
                source,
                serving,
                account,
                expiry,
                serving_expiry,
                latency_ms,
                "the source that does not serve would work too"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_look_that_panics_or_takes_for_ever_is_nothing_to_the_life_beside_it() {
        let life = async || {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            "lived"
        };
        assert_eq!(beside(life(), async { panic!("a look that fails") }).await, "lived");
        assert_eq!(beside(life(), pending()).await, "lived");
        assert_eq!(beside(life(), ready(())).await, "lived");
    }
}
