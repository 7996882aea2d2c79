//! The result that a credential source returns to the refresh task.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::clock::skew::{ServerTime, Skew};
use crate::source_kind::SourceKind;

/// The result of a successful attempt.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) credentials: Credentials,
    /// The source that returned the credentials, which is the fallback if the preferred source was denied.
    pub(crate) source: SourceKind,
    /// The times in the response, if they can be trusted.
    pub(crate) server_time: Option<ServerTime>,
    /// Whether this source may return expired credentials that AWS still accepts.
    pub(crate) is_statically_stable: bool,
}

impl Fetched {
    pub(crate) fn new(credentials: Credentials, source: SourceKind) -> Self {
        Self { credentials, source, server_time: None, is_statically_stable: false }
    }

    /// Converts the expiry to the local clock, which may differ from the clock of the server. Also returns the
    /// difference, if the times of the server are consistent. Otherwise these times are dropped.
    pub(crate) fn on_clock(mut self, now: SystemTime) -> (Self, Option<Skew>) {
        let expiry = self.credentials.expiry();
        let skew = self.server_time.zip(expiry).and_then(|(server, expiry)| Skew::of(server, expiry, now));
        match (skew, expiry) {
            (None, _) => self.server_time = None,
            (Some(skew), Some(expiry)) if skew.matters() => {
                *self.credentials.expiry_mut() = Some(skew.on_this_clock(expiry));
            }
            _ => {}
        }
        (self, skew)
    }
}
