//! The signature: Signature Version 4 in the query of a URL.
//!
//! The presigning of aws-sigv4 1.6.4 logs the canonical request at level TRACE, with the session token in its query: it redacts
//! only headers. The canonical request is therefore built here, and aws-sigv4 only derives the key and signs. The [rules] for it are
//! short, because there is no body and the path is always `/`.
//!
//! [rules]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::request::Request;
use crate::clock;
use crate::env::region::Region;
use crate::error::{Error, ErrorKind};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Returns the presigned URL of `request`, without `https://`.
///
/// The parameters are in the order of botocore. The signature is the same in any order.
pub(super) fn presigned(
    request: &Request,
    region: &Region,
    credentials: &Credentials,
    at: SystemTime,
    expires_in: Duration,
) -> Result<Zeroizing<String>, Error> {
    let time: String = clock::rfc3339(at).chars().filter(char::is_ascii_alphanumeric).collect();
    // Before or after four-digit years there is no such time.
    let (date, _) = time.split_once('T').ok_or_else(not_signed)?;
    let scope = format!("{date}/{region}/{}/aws4_request", request.service);
    let (headers, names) = headers(request);
    let mut query = request
        .query
        .clone()
        .and("X-Amz-Algorithm", ALGORITHM)
        .and("X-Amz-Credential", &format!("{}/{scope}", credentials.access_key_id()))
        .and("X-Amz-Date", &time)
        .and("X-Amz-Expires", &expires_in.as_secs().to_string())
        .and("X-Amz-SignedHeaders", &names);
    if let Some(token) = credentials.session_token() {
        query = query.and("X-Amz-Security-Token", token);
    }
    let canonical = concatenated(&["GET\n/\n", &query.sorted(), "\n", &headers, "\n", &names, "\n", EMPTY]);
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = v4::generate_signing_key(credentials.secret_access_key(), at, region.as_str(), request.service);
    let signature = v4::calculate_signature(key, to_sign.as_bytes());
    Ok(concatenated(&[&request.authority, "/?", query.as_str(), "&X-Amz-Signature=", &signature]))
}

/// The signed headers, one in each line, and their names.
fn headers(request: &Request) -> (String, String) {
    // As in a request, the host is without the default port of https.
    let host = request.authority.strip_suffix(":443").unwrap_or(&request.authority);
    match &request.header {
        None => (format!("host:{host}\n"), "host".to_owned()),
        // Its name comes after `host` in the alphabet.
        Some((name, value)) => (format!("host:{host}\n{name}:{value}\n"), format!("host;{name}")),
    }
}

fn concatenated(parts: &[&str]) -> Zeroizing<String> {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut text = Zeroizing::new(String::with_capacity(length));
    parts.iter().for_each(|part| text.push_str(part));
    text
}

/// The SHA-256 of `data` in hex.
fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The names are valid and the credentials have the required fields, so this is not expected.
fn not_signed() -> Error {
    Error::internal(ErrorKind::InvalidConfiguration, "the IAM token could not be signed")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of FIPS 180-2.
    #[test]
    fn sha256_equals_published_values() {
        assert_eq!(sha256(b""), EMPTY);
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
