//! Verification of AWS Signature Version 4.
//!
//! It follows the AWS documentation and does not use the crate that signs the requests. Therefore the tests would find an
//! error in either of the two implementations.

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

use super::ledger::{Ledger, Record};
use super::wire::Request;

/// Why a signed request is refused.
pub(super) enum Refused {
    /// The service does not accept these credentials. Code and message of its error.
    Credentials(&'static str, &'static str),
    /// A correct client does not send this signature. The text says what is wrong with it.
    Signature(String),
}

/// The fields of the header `Authorization`.
struct Authorization<'a> {
    access_key_id: &'a str,
    /// `date/region/service/aws4_request`
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// Returns the credentials that signed `request` for `service` in `region`.
pub(super) fn verify(request: &Request, ledger: &Ledger, service: &str, region: &str) -> Result<Record, Refused> {
    let bad = |what: String| Refused::Signature(what);
    let header = request.header("authorization").unwrap_or_default();
    let authorization = parse(header).ok_or_else(|| bad("no AWS4-HMAC-SHA256 Authorization header".to_owned()))?;
    let date = request.header("x-amz-date").unwrap_or_default();
    let day = date.get(..8).unwrap_or_default();
    if authorization.scope != format!("{day}/{region}/{service}/aws4_request") {
        return Err(bad(format!("a signature for {}, not for {service} in {region}", authorization.scope)));
    }
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        if !authorization.signed_headers.split(';').any(|signed| signed == name) {
            return Err(bad(format!("a signature without the header {name}")));
        }
    }
    let unknown =
        Refused::Credentials("InvalidClientTokenId", "The security token included in the request is invalid.");
    let Some(record) = ledger.record(authorization.access_key_id) else { return Err(unknown) };
    if request.header("x-amz-security-token") != Some(record.issued.session_token.as_str()) {
        return Err(unknown);
    }
    let expected = sign(request, &authorization, date, &record.issued.secret_access_key);
    if expected != authorization.signature {
        return Err(bad("a signature that does not match these credentials".to_owned()));
    }
    Ok(record)
}

fn parse(header: &str) -> Option<Authorization<'_>> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let (access_key_id, scope) = field("Credential")?.split_once('/')?;
    let (signed_headers, signature) = (field("SignedHeaders")?, field("Signature")?);
    Some(Authorization { access_key_id, scope, signed_headers, signature })
}

fn sign(request: &Request, authorization: &Authorization<'_>, date: &str, secret: &str) -> String {
    let Authorization { scope, signed_headers, .. } = authorization;
    let headers: String = signed_headers
        .split(';')
        .map(|name| format!("{name}:{}\n", request.header(name).unwrap_or_default().trim()))
        .collect();
    let canonical = format!(
        "{}\n{}\n\n{headers}\n{signed_headers}\n{}",
        request.method,
        request.target,
        hex(digest::digest(&SHA256, &request.body).as_ref())
    );
    let canonical = hex(digest::digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
    let key = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(key, |key, part| mac(&key, part.as_bytes()));
    hex(&mac(&key, to_sign.as_bytes()))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&Key::new(HMAC_SHA256, key), data).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
