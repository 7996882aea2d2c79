//! Refusals of credentials by services, counted for each host. A wrong endpoint refuses every key, and must not cause a
//! refresh with each of its responses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock;

/// After two refusals in a row by the same host, its refusals cause no refresh for this time. The time doubles with each
/// further refresh whose credentials the host refuses too.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Most programs use a few hosts, but S3 has one host for each bucket.
const MAX_HOSTS: usize = 64;
/// Requests that were signed with these keys may still be in progress.
const MAX_KEYS: usize = 8;

/// The hosts that have refused credentials and have not accepted a request since.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    known: Mutex<Known>,
    /// Whether `known` contains a host. If it does not, a successful request takes no lock.
    any: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    hosts: HashMap<String, Host>,
    /// The access key ids that were invalidated last.
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Default)]
struct Host {
    renewals: u32,
    /// Until then, refusals cause no refresh. `None` if no pause has started since the last refresh.
    paused_until: Option<SystemTime>,
}

impl Refusals {
    /// Records that the host has accepted a request.
    pub(crate) fn succeeded(&self, host: &str) {
        if self.any.load(Ordering::Relaxed) {
            let mut known = self.lock();
            known.hosts.remove(host);
            self.any.store(!known.hosts.is_empty(), Ordering::Relaxed);
        }
    }

    /// Records that a host has refused a request.
    pub(super) fn note(&self) {
        self.any.store(true, Ordering::Relaxed);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    pub(super) fn may_renew(&mut self, host: &str, now: SystemTime) -> bool {
        if !self.hosts.contains_key(host) && self.hosts.len() >= MAX_HOSTS {
            let first_to_end =
                self.hosts.iter().min_by_key(|(_, host)| host.paused_until).map(|(name, _)| name.clone());
            first_to_end.map(|name| self.hosts.remove(&name));
        }
        let host = self.hosts.entry(host.to_owned()).or_default();
        match host.paused_until {
            Some(until) if now < until => return false,
            None if host.renewals > 0 => {
                // The credentials that were fetched because of the last refusal are refused as well.
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

    pub(super) fn give_up(&mut self, key: &str) {
        self.keys.push(key.to_owned());
        let surplus = self.keys.len().saturating_sub(MAX_KEYS);
        self.keys.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// One refused request a second for a day.
    #[test]
    fn refusals_renew_less_often_for_a_host_that_refuses_all() {
        let mut known = Known::default();
        let renewed: Vec<u64> =
            (0..86_400).filter(|second| known.may_renew("host", UNIX_EPOCH + Duration::from_secs(*second))).collect();
        assert!((20..40).contains(&renewed.len()), "{renewed:?}");
        assert_eq!(renewed[0], 0);
        assert!((60..=77).contains(&renewed[1]), "{renewed:?}");
        assert!(renewed.windows(2).all(|pair| pair[1] - pair[0] <= 4502), "{renewed:?}");
        // The pause does not include its last moment.
        let until = UNIX_EPOCH + Duration::from_secs(100_000);
        known.hosts.get_mut("host").unwrap().paused_until = Some(until);
        assert!(!known.may_renew("host", until - Duration::from_nanos(1)));
        assert!(known.may_renew("host", until));
        // Another host is not affected.
        assert!(known.may_renew("other", UNIX_EPOCH));
    }

    #[test]
    fn refusals_remember_a_limited_number_of_hosts_and_keys() {
        let mut known = Known::default();
        for n in 0..1000 {
            assert!(known.may_renew(&format!("bucket-{n}"), UNIX_EPOCH));
            known.give_up(&format!("key-{n}"));
        }
        assert_eq!((known.hosts.len(), known.keys.len()), (MAX_HOSTS, MAX_KEYS));
        assert_eq!(known.keys.last().map(String::as_str), Some("key-999"));
    }

    #[test]
    fn refusals_forget_only_the_host_that_succeeded() {
        let refusals = Refusals::default();
        for host in ["a", "b"] {
            assert!(refusals.lock().may_renew(host, UNIX_EPOCH));
        }
        refusals.note();
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
