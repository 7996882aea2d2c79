//! A step of role chaining, as a diagnosis uses it.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::error::Error;
use crate::fetched::Fetched;
use crate::refresh::BoxFuture;
use crate::source_kind::SourceKind;

/// The step from the credentials of the pod, or of the previous role, to those of the next role.
pub(crate) trait Hop: fmt::Debug + Send + Sync {
    /// The role that is assumed.
    fn role_arn(&self) -> &str;

    /// Sends one request that these credentials sign at `now`. `source` is where the pod has got its own credentials. It
    /// fails after the time limit for STS.
    fn exchange<'a>(
        &'a self,
        credentials: &'a Credentials,
        source: SourceKind,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Fetched, Error>>;
}
