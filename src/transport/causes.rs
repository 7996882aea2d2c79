//! The chain of causes in the errors of HTTP clients and TLS.

use std::error::Error as StdError;
use std::io;

/// The first `E` among an error and its causes.
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The first I/O error kind other than `Other`. TLS wraps the I/O errors of TCP in errors of the kind `Other`.
pub(super) fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut kinds = causes(error).filter_map(|cause| cause.downcast_ref()).map(io::Error::kind);
    kinds.find(|kind| *kind != io::ErrorKind::Other)
}

/// The text of the last cause, which comes from the operating system or a library.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// An error and its causes. The error inside an `io::Error` is included, because hyper nests one `io::Error` in another.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&current: &&'a (dyn StdError + 'static)| {
        match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside as &(dyn StdError + 'static)),
            None => current.source(),
        }
    })
}
