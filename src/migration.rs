//! For the migration from IRSA to EKS Pod Identity, or back: what both credential sources grant, and what decides between them.
//!
//! [`EksCredentialsProvider::compare`] requests credentials from both sources of a pod and compares whose they are. The steps
//! of a migration are in [`docs::migrating`](crate::docs::migrating).

mod comparison;
mod probe;

use std::sync::Arc;

pub use self::comparison::{Comparison, Difference};
pub use self::probe::{Caller, Granted, Probe};
use crate::error::Error;
use crate::provider::EksCredentialsProvider;
use crate::refresh::metrics;
pub use crate::source::detection::Preference;

impl EksCredentialsProvider {
    /// Before a cut-over from one method to the other: asks both of them, once each and one after the other, and compares
    /// whose credentials they grant. What is served is not touched: the answers are thrown away, and no caller of
    /// [`credentials`](Self::credentials) waits for them. Takes an attempt's time for each at most
    /// ([`attempt_timeout`](Builder::attempt_timeout)). With the features `diagnose` and `irsa` it also asks STS who they are
    /// (`GetCallerIdentity`, 5 s for each at most): only so the roles can be compared, since Pod Identity's answer does not
    /// name its own. Every call sends these two or four requests: it is for a check at start-up or an operator's command,
    /// not for a loop.
    ///
    /// # Errors
    ///
    /// If there is nothing to compare: [`NotConfigured`](crate::ErrorKind::NotConfigured),
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if only one method is configured, or the other one
    /// by half. That a method *fails* is no error, but what [`Comparison`] says.
    pub async fn compare(&self) -> Result<Comparison, Error> {
        let sources = Arc::clone(&self.configured()?.sources);
        let setup = self.setup().clone();
        let comparison = self.core().run(async move { Comparison::of(&sources, &setup).await }).await??;
        metrics::cut_over_ready(comparison.is_ready());
        Ok(comparison)
    }
}
