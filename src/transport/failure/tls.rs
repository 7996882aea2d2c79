//! Why TLS failed, by the error of rustls.

use std::error::Error as StdError;

use rustls::CertificateError as Bad;

use super::super::causes::find;
use crate::error::problem::network::{Objection, Tls};

/// Why TLS failed, if it did.
pub(super) fn explain(error: &(dyn StdError + 'static)) -> Option<Tls> {
    let error = find::<rustls::Error>(error)?;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return Some(Tls { objection: Objection::Protocol, cause: error.to_string() });
    };
    let objection = match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => Objection::Expired,
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => Objection::NotValidYet,
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Objection::WrongName,
        Bad::UnknownIssuer => Objection::UnknownIssuer,
        // webpki's own error is inside, and rustls shows it in its `Debug` only.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => Objection::CaUsedAsEndEntity,
        _ => Objection::Certificate,
    };
    Some(Tls { objection, cause: bad.to_string() })
}
