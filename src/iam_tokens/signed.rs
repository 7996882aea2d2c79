//! A request becomes a token: the signature, and the end of the token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;

use super::presign;
use super::request::Request;
use super::token::IamToken;
use crate::clock;
use crate::env::region::Region;
use crate::error::Error;

/// Signs the token of `request` at `now`. `None` if the credentials have expired. `on_server_clock` returns the time on the clock
/// of AWS, which is the one in the signature.
pub(super) fn signed(
    request: &Request,
    region: &Region,
    credentials: &Credentials,
    now: SystemTime,
    on_server_clock: impl FnOnce(SystemTime) -> SystemTime,
) -> Result<Option<IamToken>, Error> {
    // The signature contains the time in whole seconds, and the lifetime of the token begins at that time.
    let signed_at = clock::after(UNIX_EPOCH, Duration::from_secs(clock::since(now, UNIX_EPOCH).as_secs()));
    let left = credentials.expiry().map_or(Duration::MAX, |expiry| clock::since(expiry, signed_at));
    let Some(lifetime) = request.lifetime.at_most(left) else { return Ok(None) };
    let url = presign::presigned(request, region, credentials, on_server_clock(signed_at), lifetime.url)?;
    Ok(Some(IamToken::new(request.form.apply(url), clock::after(signed_at, lifetime.token))))
}
