//! Replaces the module `metrics` in a build without the feature `metrics`. Records nothing.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::Fetch;
use crate::refresh::status::Status;
use crate::source_kind::SourceKind;

pub(crate) fn describe() {}
pub(crate) fn attempt(_: &dyn Fetch, _: &Result<Fetched, Error>) {}
pub(crate) fn duration(_: &dyn Fetch, _: &Result<Fetched, Error>, _: Duration) {}
pub(crate) fn refreshed(_: SourceKind, _: Option<&str>) {}
pub(crate) fn failed(_: &dyn Fetch, _: ErrorKind) {}
pub(crate) fn status(_: &Status) {}
pub(crate) fn cut_over_ready(_: bool) {}

pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        Self
    }
}
