//! Replaces `get.rs` in builds without the feature `diagnose` or `irsa`, which cannot call STS.

use std::time::SystemTime;

use aws_credential_types::Credentials;

use super::CallerIdentity;
use crate::env::Env;
use crate::error::Error;
use crate::source::settings::Settings;
use crate::transport::Client;

/// Always `None`.
pub(crate) async fn get(
    _: &Env,
    _: &Settings,
    _: Option<Client>,
    _: &Credentials,
    _: SystemTime,
) -> Option<Result<CallerIdentity, Error>> {
    None
}
