//! Replaces the other modules in this folder in a build without the feature `testing`, for example in an image.
//!
//! `program::stand_ins` returns an error before these functions are called.
#![allow(dead_code, reason = "each program uses only a part")]

use std::error::Error;

use eks_credentials::Diagnosis;

const NONE: &str = "this program was built without stand-ins (without the feature `testing`)";

pub(crate) async fn run<O, T>(_: O) -> Result<T, Box<dyn Error>> {
    Err(NONE.into())
}

pub(crate) fn list_faults() -> Result<String, String> {
    Err(NONE.to_owned())
}

pub(crate) fn has_fault(_: &str) -> bool {
    false
}

pub(crate) async fn diagnose(_: &str) -> Option<Diagnosis> {
    None
}
