//! Replaces `tls.rs` in builds without TLS.

use std::error::Error as StdError;

use crate::error::problem::network::Tls;

pub(super) fn explain(_: &(dyn StdError + 'static)) -> Option<Tls> {
    None
}
