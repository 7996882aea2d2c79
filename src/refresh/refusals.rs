//! What follows when a service refuses the credentials, for each host. A wrong endpoint refuses every key: it must not cause a request for new
//! credentials at each of its answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::refresh::schedule::Refusal;
use crate::refresh::shared::Shared;

/// Credentials that are younger are not those of a role that was deleted meanwhile.
const MIN_AGE: Duration = Duration::from_secs(60);
/// After the second refusal in a row nothing is renewed for so long, and twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// A program talks to a handful of hosts, but S3 has one for each bucket.
const MAX_HOSTS: usize = 64;
/// Requests that were signed with these may still be under way.
const MAX_KEYS: usize = 8;

/// Why a service refused credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// These credentials have ended.
    Ended,
    /// The service does not know them. It may be the wrong service.
    Unknown,
}

/// The refusals since the last success, by host.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    known: Mutex<Known>,
    /// Whether there are any, so that a successful request takes no lock.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    hosts: HashMap<String, Host>,
    /// The last keys that were given up.
    keys: Vec<String>,
}

#[derive(Debug, Default)]
struct Host {
    renewals: u32,
    /// Until then nothing is renewed. `None`: the next refusal decides.
    paused_until: Option<SystemTime>,
}

impl Refusals {
    /// The host has accepted a request.
    pub(crate) fn succeeded(&self, host: &str) {
        if self.any.load(Ordering::Relaxed) {
            let mut known = self.lock();
            known.hosts.remove(host);
            self.any.store(!known.hosts.is_empty(), Ordering::Relaxed);
        }
    }

    /// `host` has refused a request that was signed with `key`. Whether another attempt would have other credentials.
    pub(crate) fn renew(&self, shared: &Shared, host: &str, key: &str, reason: Reason) -> bool {
        let mut known = self.lock();
        let now = shared.now();
        let entry = shared.cache.load_full();
        let current = entry.held.as_ref().map(|held| held.credentials.access_key_id());
        if current != Some(key) {
            // Renewed meanwhile; or the key is not one of this provider.
            return known.keys.iter().any(|given_up| given_up == key);
        }
        match entry.state.refusal {
            // Others are on their way.
            Refusal::Refused => return true,
            // The source has no others.
            Refusal::HandedOutAgain => return false,
            // They have expired: others are being fetched, and this request was signed before.
            Refusal::None if !shared.policy.serves(&entry.state, now) => return false,
            Refusal::None => {}
        }
        let age = entry.state.validity.map_or(Duration::ZERO, |validity| clock::since(now, validity.fetched_at));
        if reason == Reason::Unknown && age < MIN_AGE {
            return false;
        }
        if !known.may_renew(host, now) {
            return false;
        }
        self.any.store(true, Ordering::Relaxed);
        known.give_up(key);
        shared.invalidate(key);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn may_renew(&mut self, host: &str, now: SystemTime) -> bool {
        if !self.hosts.contains_key(host) && self.hosts.len() >= MAX_HOSTS {
            let first_to_end =
                self.hosts.iter().min_by_key(|(_, host)| host.paused_until).map(|(name, _)| name.clone());
            first_to_end.map(|name| self.hosts.remove(&name));
        }
        let host = self.hosts.entry(host.to_owned()).or_default();
        match host.paused_until {
            Some(until) if now < until => return false,
            None if host.renewals > 0 => {
                // What was fetched because of the last refusal is refused as well.
                let doubled = 2_u32.saturating_pow(host.renewals.saturating_sub(1));
                let pause = PAUSE.saturating_mul(doubled).min(PAUSE_MAX).mul_f64(1.0 + 0.25 * fastrand::f64());
                host.paused_until = Some(clock::after(now, pause));
                return false;
            }
            _ => host.paused_until = None,
        }
        host.renewals = host.renewals.saturating_add(1);
        true
    }

    fn give_up(&mut self, key: &str) {
        self.keys.push(key.to_owned());
        let surplus = self.keys.len().saturating_sub(MAX_KEYS);
        self.keys.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "irsa")]
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    #[cfg(feature = "irsa")]
    use aws_smithy_async::time::TimeSource;

    use super::*;
    #[cfg(feature = "irsa")]
    use crate::{EksCredentialsProvider, testing::LocalPod};

    /// A host that refuses everything, once a second for a day.
    #[test]
    fn a_host_that_refuses_every_key_causes_ever_fewer_renewals() {
        let mut known = Known::default();
        let renewed: Vec<u64> =
            (0..86_400).filter(|second| known.may_renew("host", UNIX_EPOCH + Duration::from_secs(*second))).collect();
        assert!((20..40).contains(&renewed.len()), "{renewed:?}");
        assert_eq!(renewed[0], 0);
        assert!((60..=77).contains(&renewed[1]), "{renewed:?}");
        assert!(renewed.windows(2).all(|pair| pair[1] - pair[0] <= 4502), "{renewed:?}");
        // The end of the pause is not part of it.
        let until = UNIX_EPOCH + Duration::from_secs(100_000);
        known.hosts.get_mut("host").unwrap().paused_until = Some(until);
        assert!(!known.may_renew("host", until - Duration::from_nanos(1)));
        assert!(known.may_renew("host", until));
        // Another host is another matter.
        assert!(known.may_renew("other", UNIX_EPOCH));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        for n in 0..1000 {
            assert!(known.may_renew(&format!("bucket-{n}"), UNIX_EPOCH));
            known.give_up(&format!("key-{n}"));
        }
        assert_eq!((known.hosts.len(), known.keys.len()), (MAX_HOSTS, MAX_KEYS));
        assert_eq!(known.keys.last().map(String::as_str), Some("key-999"));
    }

    /// A clock that stands still until it is set.
    #[cfg(feature = "irsa")]
    #[derive(Clone, Debug)]
    struct Clock(Arc<Mutex<SystemTime>>);

    #[cfg(feature = "irsa")]
    impl TimeSource for Clock {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
    }

    #[cfg(feature = "irsa")]
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
        assert!(!renew("host", key, Ended), "it is renewed anyway");
        assert!(!renew("host", "of-another-provider", Ended));

        *clock.0.lock().unwrap() = began + MIN_AGE;
        let refusals = Refusals::default();
        assert!(refusals.renew(shared, "host", key, Unknown));
        // Requests with the same key that are refused later, before and after the refresh.
        assert!(refusals.renew(shared, "host", key, Unknown));
        let second = provider.credentials().await.unwrap();
        assert_ne!(second.access_key_id(), key);
        assert!(refusals.renew(shared, "host", key, Unknown));
        assert!(!refusals.renew(shared, "host", "of-another-provider", Ended));
        assert_eq!(pod.sts().requests(), 2);
    }

    /// The service does not accept them any more, so callers get the error of the source, which explains the outage.
    #[cfg(feature = "irsa")]
    #[tokio::test]
    async fn expired_credentials_of_an_outage_are_given_up_when_they_are_refused() {
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

    #[test]
    fn a_success_forgets_the_host_and_no_other() {
        let refusals = Refusals::default();
        for host in ["a", "b"] {
            assert!(refusals.lock().may_renew(host, UNIX_EPOCH));
        }
        refusals.any.store(true, Ordering::Relaxed);
        let hosts = || {
            let mut hosts: Vec<_> = refusals.lock().hosts.keys().cloned().collect();
            hosts.sort();
            hosts
        };
        refusals.succeeded("c");
        assert_eq!(hosts(), ["a", "b"]);
        refusals.succeeded("a");
        assert_eq!(hosts(), ["b"]);
        refusals.succeeded("b");
        assert!(hosts().is_empty() && !refusals.any.load(Ordering::Relaxed));
    }
}
