//! The log events of the refresh task.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::clock;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::refresh::cache::Entry;
use crate::refresh::driver::Driver;
use crate::refresh::metrics;
use crate::refresh::state::{Policy, Refusal};

impl Driver {
    /// Logs at INFO what an operator needs to see: the first credentials, another source, and the end of an outage.
    pub(super) fn report_success(&self, before: &Entry, fetched: &Fetched) {
        let (source, role) = (fetched.source.as_str(), self.source.role_arn());
        let expiry = expiry_text(&fetched.credentials);
        match &before.current {
            None => tracing::info!(source, role, expiry, "fetched the first credentials"),
            Some(current) if current.source != fetched.source => {
                tracing::info!(
                    source,
                    role,
                    previous = current.source.as_str(),
                    expiry,
                    "switched to another credential source"
                );
            }
            Some(_) if before.failed.is_some() => {
                tracing::info!(source, role, expiry, "credentials refreshed after failures")
            }
            Some(_) => tracing::debug!(source, role, expiry, "credentials refreshed"),
        }
    }

    pub(super) fn report_failure(&self, error: &Error) {
        metrics::failed(self.source.as_ref(), error.kind());
        let (source, role) = (self.source.kind().as_str(), self.source.role_arn());
        let entry = self.shared.cache.load();
        let serving = serving(&self.shared.policy, &entry, self.shared.now());
        if let (Some(serving), true) = (&serving, error.is_transient()) {
            tracing::warn!(source, role, %error, serving, "refreshing credentials failed");
        } else {
            let serving = serving.as_deref().unwrap_or("no credentials");
            tracing::error!(source, role, %error, serving, "fetching credentials failed");
        }
    }

    /// Reports expired credentials with a log event and a new `Status`, once for each set of credentials. The level is
    /// ERROR, or WARN if a service has refused the credentials.
    pub(super) fn report_expiry(&self, entry: &Entry, now: SystemTime, reported: &mut Option<SystemTime>) {
        let Some((current, expiry)) = entry.current.as_ref().zip(entry.expiry()) else { return };
        if now < expiry || *reported == Some(expiry) {
            return;
        }
        *reported = Some(expiry);
        let (source, role) = (current.source.as_str(), self.source.role_arn());
        if current.refusal == Refusal::Refused {
            tracing::warn!(source, role, "a service has refused the credentials: they are treated as expired");
        } else {
            tracing::error!(
                source,
                role,
                expiry = clock::rfc3339(expiry),
                "credentials have expired and have not been refreshed yet"
            );
        }
        self.publish_status(now);
    }
}

/// Describes the credentials that callers get after a failed refresh. `None` if callers get an error.
pub(super) fn serving(policy: &Policy, entry: &Entry, now: SystemTime) -> Option<String> {
    let state = entry.state();
    let expiry = entry.current.as_ref().map(|current| expiry_text(&current.credentials))?;
    if state.is_usable(now) {
        Some(format!("credentials valid until {expiry}"))
    } else {
        policy.may_serve_expired(&state).then(|| format!("credentials that expired at {expiry}"))
    }
}

fn expiry_text(credentials: &Credentials) -> String {
    credentials.expiry().map_or_else(|| "never".to_owned(), clock::rfc3339)
}
