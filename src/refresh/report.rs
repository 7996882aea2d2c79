//! What the refresh task logs.

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
    /// INFO for what an operator wants to see once: the first credentials, another source, the end of an outage.
    pub(super) fn report_success(&self, before: &Entry, fetched: &Fetched) {
        let source = fetched.source.as_str();
        let expiry = expiry_text(&fetched.credentials);
        match &before.current {
            None => tracing::info!(source, expiry, "first credentials"),
            Some(current) if current.source != fetched.source => {
                tracing::info!(
                    source,
                    previous = current.source.as_str(),
                    expiry,
                    "credentials come from another source now"
                );
            }
            Some(_) if before.failed.is_some() => tracing::info!(source, expiry, "credentials are refreshed again"),
            Some(_) => tracing::debug!(source, expiry, "credentials refreshed"),
        }
    }

    pub(super) fn report_failure(&self, error: &Error) {
        metrics::failed(self.source.kind(), error.kind());
        let source = self.source.kind().as_str();
        let entry = self.shared.cache.load();
        let serving = serving(&self.shared.policy, &entry, self.shared.now());
        if let (Some(serving), true) = (&serving, error.is_transient()) {
            tracing::warn!(source, %error, serving, "refreshing credentials failed");
        } else {
            let serving = serving.as_deref().unwrap_or("there are no credentials to serve");
            tracing::error!(source, %error, serving, "fetching credentials failed");
        }
    }

    /// ERROR (WARN if a service has refused them) and a new `Status`, once for each set of credentials that expires.
    pub(super) fn report_expiry(&self, entry: &Entry, now: SystemTime, reported: &mut Option<SystemTime>) {
        let Some((current, expiry)) = entry.current.as_ref().zip(entry.expiry()) else { return };
        if now < expiry || *reported == Some(expiry) {
            return;
        }
        *reported = Some(expiry);
        let source = current.source.as_str();
        if current.refusal == Refusal::Refused {
            tracing::warn!(source, "a service has refused the credentials: they count as expired");
        } else {
            tracing::error!(
                source,
                expiry = clock::rfc3339(expiry),
                "credentials have expired and are not renewed yet"
            );
        }
        self.publish_status(now);
    }
}

/// Which credentials callers get although the refresh failed, as text for operators. `None`: they get an error.
pub(super) fn serving(policy: &Policy, entry: &Entry, now: SystemTime) -> Option<String> {
    let state = entry.state();
    let expiry = entry.current.as_ref().map(|current| expiry_text(&current.credentials))?;
    if state.is_usable(now) {
        Some(format!("the current credentials are valid until {expiry}"))
    } else {
        policy.may_serve_expired(&state).then(|| format!("serving credentials that expired at {expiry}"))
    }
}

fn expiry_text(credentials: &Credentials) -> String {
    credentials.expiry().map_or_else(|| "never".to_owned(), clock::rfc3339)
}
