//! One provider for all parts of a program that ask the environment alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EksCredentialsProvider, WeakProvider};
use crate::env::Env;
use crate::error::Error;

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
        let env = Env::from_process();
        PROCESS.get_or_build(&env, || Self::builder().env_snapshot(env.clone()).build())
    }
}

/// The registry of the process.
static PROCESS: Registry = Registry::new();

/// At most one provider for each environment. It holds them weakly: neither a provider nor the environment in it, which may
/// contain a token, outlives the last user.
struct Registry(Mutex<Vec<WeakProvider>>);

impl Registry {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The provider in use that was built from `env`, or the one that `build` returns.
    ///
    /// `build` runs without the lock, because it logs, and a subscriber may call `shared` itself. Callers that race may
    /// therefore build several providers, of which all but one are dropped before anybody has used them.
    fn get_or_build(
        &self,
        env: &Env,
        build: impl FnOnce() -> Result<EksCredentialsProvider, Error>,
    ) -> Result<EksCredentialsProvider, Error> {
        if let Some(provider) = self.in_use(env, None) {
            return Ok(provider);
        }
        let built = build()?;
        Ok(self.in_use(env, Some(&built)).unwrap_or(built))
    }

    /// Returns the provider in use that was built from `env`. If there is none, registers `otherwise`.
    fn in_use(&self, env: &Env, otherwise: Option<&EksCredentialsProvider>) -> Option<EksCredentialsProvider> {
        // Declared before the lock, so that they are dropped after it: one of them may have lost its other users meanwhile,
        // and its end wakes tasks.
        let mut providers = Vec::new();
        let mut entries = self.lock();
        entries.retain(|entry| {
            let provider = entry.upgrade();
            let is_in_use = provider.is_some();
            providers.extend(provider);
            is_in_use
        });
        let found = providers.iter().find(|provider| &provider.setup().env == env).cloned();
        if found.is_none() {
            entries.extend(otherwise.map(EksCredentialsProvider::downgrade));
        }
        found
    }

    /// No code panics under the lock; if some did, the entries would still be right.
    fn lock(&self) -> MutexGuard<'_, Vec<WeakProvider>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(feature = "pod-identity")]
mod tests;
