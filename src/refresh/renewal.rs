//! What happens after a service has refused a request that was signed with the provider's credentials.

use std::time::Duration;

use crate::clock;
use crate::refresh::refusals::Refusals;
use crate::refresh::shared::Shared;
use crate::refresh::state::Refusal;

/// If a service does not know a key that is younger than this, the cause is not a role that was deleted since the
/// fetch.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Why a service refused credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The service says that these credentials are no longer valid.
    Ended,
    /// The service does not know the key. It may be the wrong service.
    Unknown,
}

impl Refusals {
    /// Handles a refusal by `host` of a request that was signed with `key`. Returns whether another attempt of the
    /// request would be signed with other credentials.
    ///
    /// The lock is held until the credentials are invalidated, so several refusals at the same time cause only one
    /// refresh.
    pub(crate) fn renew(&self, shared: &Shared, host: &str, key: &str, reason: Reason) -> bool {
        let mut known = self.lock();
        let now = shared.now();
        let entry = shared.cache.load_full();
        let current = entry.current.as_ref().filter(|current| current.credentials.access_key_id() == key);
        let Some(current) = current else {
            // The credentials were refreshed since, or the key does not belong to this provider.
            return known.keys.iter().any(|given_up| given_up == key);
        };
        match current.refusal {
            // New credentials are being fetched.
            Refusal::Refused => return true,
            // The source has no other credentials to offer.
            Refusal::ReturnedAgain => return false,
            // They have expired since the request was signed, and new credentials are being fetched.
            Refusal::None if !shared.policy.serves(&entry.state(), now) => return false,
            Refusal::None => {}
        }
        let age = clock::since(now, current.validity.fetched_at);
        if (reason == Reason::Unknown && age < MIN_AGE) || !known.may_renew(host, now) {
            return false;
        }
        self.note();
        known.give_up(key);
        shared.invalidate(key);
        true
    }
}

#[cfg(test)]
#[cfg(feature = "irsa")]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::SystemTime;

    use aws_smithy_async::time::TimeSource;

    use super::*;
    use crate::{EksCredentialsProvider, testing::LocalPod};

    /// A clock that does not advance by itself.
    #[derive(Clone, Debug)]
    struct Clock(Arc<Mutex<SystemTime>>);

    impl TimeSource for Clock {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
    }

    #[tokio::test]
    async fn renew_depends_on_key_age_and_expiry() {
        use Reason::{Ended, Unknown};
        let clock = Clock(Arc::new(Mutex::new(clock::system_now())));
        let pod = LocalPod::start().await.unwrap();
        let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).time_source(clock.clone());
        let provider = provider.build().unwrap();
        let first = provider.credentials().await.unwrap();
        let (shared, key, began) = (provider.core(), first.access_key_id(), clock.now());
        let renew = |host, key: &str, refusal| Refusals::default().renew(shared, host, key, refusal);

        // None of these invalidates the credentials.
        *clock.0.lock().unwrap() = began + MIN_AGE - Duration::from_nanos(1);
        assert!(!renew("host", key, Unknown), "too young");
        *clock.0.lock().unwrap() = first.expiry().unwrap();
        assert!(!renew("host", key, Ended), "a refresh is due anyway");
        assert!(!renew("host", "of-another-provider", Ended));

        *clock.0.lock().unwrap() = began + MIN_AGE;
        let refusals = Refusals::default();
        assert!(refusals.renew(shared, "host", key, Unknown));
        // Later refusals of the same key, before and after the refresh.
        assert!(refusals.renew(shared, "host", key, Unknown));
        let second = provider.credentials().await.unwrap();
        assert_ne!(second.access_key_id(), key);
        assert!(refusals.renew(shared, "host", key, Unknown));
        assert!(!refusals.renew(shared, "host", "of-another-provider", Ended));
        assert_eq!(pod.sts().requests(), 2);
    }

    /// Once the service has refused them, callers get the error of the source, which explains the outage.
    #[tokio::test]
    async fn renew_gives_up_expired_credentials_served_in_an_outage() {
        let clock = Clock(Arc::new(Mutex::new(clock::system_now())));
        let pod = LocalPod::start().await.unwrap();
        let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).time_source(clock.clone());
        let provider = provider.build().unwrap();
        let first = provider.credentials().await.unwrap();
        pod.sts().always(crate::testing::Answer::http(503, "down"));
        *clock.0.lock().unwrap() = first.expiry().unwrap();
        assert_eq!(provider.credentials().await.unwrap(), first);
        let refusal = Reason::Ended;
        assert!(Refusals::default().renew(provider.core(), "host", first.access_key_id(), refusal));
        assert_eq!(provider.cached(), None);
        assert_eq!(provider.credentials().await.unwrap_err().kind(), crate::ErrorKind::Unavailable);
    }
}
