//! In place of the modules beside this one in a build without the feature `testing`, such as that for an image.
//! `program::stand_ins` refuses before any of this is called.
#![allow(dead_code, reason = "each program uses its part of it")]

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
