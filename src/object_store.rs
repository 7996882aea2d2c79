//! Credential providers for the crate `object_store`, in one module for each of its versions.
//!
//! `object_store` calls its credential provider before each request and expects an `Arc`. The credentials are therefore converted
//! once for each refresh.

#[cfg(feature = "object_store_0_13")]
mod v0_13;
#[cfg(feature = "object_store_0_14")]
mod v0_14;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;

use crate::error::Error;
use crate::provider::EksCredentialsProvider;
use crate::refresh::cache::Current;

/// The name of the store in errors. `object_store` uses the same one.
const STORE: &str = "S3";

/// The credentials of a provider in a type `C` of another crate.
struct Converting<C> {
    provider: EksCredentialsProvider,
    /// The shortest validity of the returned credentials, if the program requires one.
    valid_for: Option<Duration>,
    convert: fn(&Credentials) -> C,
    last: ArcSwapOption<Converted<C>>,
}

struct Converted<C> {
    /// [`Current::generation`].
    generation: u64,
    credential: Arc<C>,
}

impl<C> Converting<C> {
    fn new(provider: EksCredentialsProvider, valid_for: Option<Duration>, convert: fn(&Credentials) -> C) -> Self {
        Self { provider, valid_for, convert, last: ArcSwapOption::empty() }
    }

    async fn get(&self) -> Result<Arc<C>, Error> {
        let core = self.provider.core();
        match self.valid_for {
            None => core.get(|current| self.converted(current)).await,
            Some(ttl) => core.get_valid_for(ttl, |current| self.converted(current)).await,
        }
    }

    /// Converts the credentials at the first call for each generation. Calls at the same time may convert them more than once.
    fn converted(&self, current: &Current) -> Arc<C> {
        let generation = current.generation;
        if let Some(last) = self.last.load().as_ref().filter(|last| last.generation == generation) {
            return Arc::clone(&last.credential);
        }
        let credential = Arc::new((self.convert)(&current.credentials));
        self.last.store(Some(Arc::new(Converted { generation, credential: Arc::clone(&credential) })));
        credential
    }
}

/// Without the credentials.
impl<C> fmt::Debug for Converting<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converting")
            .field("provider", &self.provider)
            .field("valid_for", &self.valid_for)
            .finish_non_exhaustive()
    }
}
