//! One provider for all parts of a process that use the environment without further settings.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EksCredentialsProvider, WeakProvider};
use crate::env::Env;
use crate::error::Error;

impl EksCredentialsProvider {
    /// Returns the provider that all callers in this process share.
    ///
    /// Its configuration is the same as that of [`from_env`](Self::from_env). Use it in a library, which does not know whether
    /// other parts of the program need credentials too. All callers together have one refresh task and at most one request
    /// for credentials at a time. A library should still accept a provider from its user, and use this one as the default.
    ///
    /// The provider exists until its last clone is dropped, including the clones in SDK clients. The next call then builds a
    /// new provider.
    ///
    /// Every call reads the environment. If a variable that this crate reads has changed, the caller gets a provider for the
    /// new environment. Existing clones keep the old one.
    ///
    /// All users share the effects of a call: after [`invalidate`](Self::invalidate), all of them wait for new credentials.
    ///
    /// # Errors
    ///
    /// The same as those of [`from_env`](Self::from_env). Errors are not cached: the next call reads the environment again.
    ///
    /// # Examples
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
    pub fn shared() -> Result<Self, Error> {
        let env = Env::from_process();
        PROCESS.get_or_build(&env, || Self::builder().env_snapshot(env.clone()).build())
    }
}

static PROCESS: Registry = Registry::new();

/// At most one provider for each environment. The references are weak, so a provider ends with its last user. Its environment,
/// which may contain a token, is then dropped too.
struct Registry(Mutex<Vec<WeakProvider>>);

impl Registry {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Returns the provider in use that was built from `env`, or else the one that `build` returns.
    ///
    /// `build` runs without the lock, because it logs, and a subscriber may call `shared` itself. Concurrent first calls may
    /// therefore build several providers. All but one of them are dropped before they are used.
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

    /// Returns the provider in use that was built from `env`. If there is no such provider, registers `otherwise`.
    fn in_use(&self, env: &Env, otherwise: Option<&EksCredentialsProvider>) -> Option<EksCredentialsProvider> {
        // Declared before the lock, and therefore dropped after its release. This may be the last reference to one of them,
        // and dropping it wakes tasks.
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

    /// No code panics while it holds the lock. If it did, the entries would still be correct.
    fn lock(&self) -> MutexGuard<'_, Vec<WeakProvider>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(feature = "pod-identity")]
mod tests;
