//! One provider for all parts of a program that ask the environment alone.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use crate::env::Env;
use crate::error::Error;
use crate::provider::{EksCredentialsProvider, Handle};

/// What lives, with the environment from which it was built. A process has one environment, unless somebody changes it.
static PROVIDERS: Mutex<Vec<(Env, Weak<Handle>)>> = Mutex::new(Vec::new());

impl EksCredentialsProvider {
    /// The provider that [`from_env`](Self::from_env) would build, shared by all who call this in the process: for libraries,
    /// which do not know whether another part of the program needs credentials too. However many call it, there is one
    /// refresh task, and one request for credentials at a time.
    ///
    /// It lives as long as anybody holds it or a clone, an SDK client included; afterwards the next call builds another one.
    /// The environment is read at every call: if a variable that this crate reads has changed, the caller gets a provider for
    /// the new environment, and those who have the old one keep it. What one does to it concerns all:
    /// [`invalidate`](Self::invalidate) makes all of them wait for new credentials.
    ///
    /// A library should still accept a provider from its caller, and use this as the default.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// pub struct Client {
    ///     credentials: EksCredentialsProvider,
    /// }
    ///
    /// impl Client {
    ///     pub fn new() -> Result<Self, eks_credentials::Error> {
    ///         Ok(Self { credentials: EksCredentialsProvider::shared()? })
    ///     }
    /// }
    /// # Client::new().unwrap().credentials.cached();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env). An error is not kept: the next call reads the environment again.
    pub fn shared() -> Result<Self, Error> {
        Self::shared_of(Env::from_process())
    }

    fn shared_of(env: Env) -> Result<Self, Error> {
        if let Some(known) = find(&mut lock(), &env) {
            return Ok(known);
        }
        // Without the lock: what logs events while it is built may ask for the provider, too.
        let built = Self::builder().env_snapshot(env.clone()).build()?;
        let mut providers = lock();
        if let Some(known) = find(&mut providers, &env) {
            return Ok(known);
        }
        providers.push((env, built.downgrade()));
        Ok(built)
    }
}

fn lock() -> MutexGuard<'static, Vec<(Env, Weak<Handle>)>> {
    PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(providers: &mut Vec<(Env, Weak<Handle>)>, env: &Env) -> Option<EksCredentialsProvider> {
    providers.retain(|(_, handle)| handle.strong_count() > 0);
    let (_, handle) = providers.iter().find(|(known, _)| known == env)?;
    handle.upgrade().map(EksCredentialsProvider::from_handle)
}

#[cfg(all(test, feature = "irsa"))]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    fn env(role: &str) -> Env {
        let arn = format!("arn:aws:iam::111122223333:role/{role}");
        Env::from([
            ("AWS_ROLE_ARN", arn.as_str()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
            ("AWS_REGION", "eu-central-1"),
        ])
    }

    fn is_same(a: &EksCredentialsProvider, b: &EksCredentialsProvider) -> bool {
        Arc::ptr_eq(a.core(), b.core())
    }

    #[test]
    fn one_provider_for_each_environment_for_as_long_as_it_is_held() {
        let (a, b) = (env("one"), env("two"));
        let shared = |env: &Env| EksCredentialsProvider::shared_of(env.clone()).unwrap();
        let (first, other) = (shared(&a), shared(&b));
        assert!(is_same(&first, &shared(&a)) && is_same(&other, &shared(&b)) && !is_same(&first, &other));
        let clone = first.clone();
        drop(first);
        assert!(is_same(&clone, &shared(&a)));
        let weak = clone.downgrade();
        drop(clone);
        assert!(weak.upgrade().is_none(), "the registry keeps it alive");
        drop(shared(&a));
    }

    #[test]
    fn callers_that_race_get_the_same_provider() {
        let (env, together) = (env("raced"), Barrier::new(8));
        let providers: Vec<_> = std::thread::scope(|scope| {
            let ask = || {
                together.wait();
                EksCredentialsProvider::shared_of(env.clone()).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(providers.iter().all(|provider| is_same(provider, &providers[0])));
    }

    #[test]
    fn an_error_is_not_kept() {
        let half = Env::from([("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app")]);
        for _ in 0..2 {
            EksCredentialsProvider::shared_of(half.clone()).unwrap_err();
        }
        assert!(PROVIDERS.lock().unwrap().iter().all(|(env, _)| *env != half));
    }
}
