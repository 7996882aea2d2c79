//! What a credential source returns to the refresh task.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::clock::skew::{ServerTime, Skew};
use crate::source_kind::SourceKind;

/// What a successful attempt brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) credentials: Credentials,
    /// Which source it came from, in the end.
    pub(crate) source: SourceKind,
    /// What the answer says about time, if it can be trusted.
    pub(crate) server_time: Option<ServerTime>,
    /// Whether this source may hand out credentials after their expiry that AWS still honours.
    pub(crate) is_statically_stable: bool,
}

impl Fetched {
    pub(crate) fn new(credentials: Credentials, source: SourceKind) -> Self {
        Self { credentials, source, server_time: None, is_statically_stable: false }
    }

    /// With the expiry as a time of this machine's clock, which may differ from the server's. The difference, if the server's
    /// times are consistent; otherwise they are dropped.
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
