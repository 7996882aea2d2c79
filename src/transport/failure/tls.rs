//! Finds the reason of a TLS failure in the error of rustls.

use std::error::Error as StdError;

use rustls::CertificateError as Bad;

use super::super::causes::find;
use crate::error::problem::network::{Objection, Tls};

/// The reason of a TLS failure. `None` if the error is not from TLS.
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
        // rustls keeps the error of webpki inside this value and shows it only in `Debug`.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => Objection::CaUsedAsEndEntity,
        _ => Objection::Certificate,
    };
    Some(Tls { objection, cause: bad.to_string() })
}
