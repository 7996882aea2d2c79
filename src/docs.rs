//! Pages to read.

pub mod choosing;
#[cfg(feature = "diagnose")]
pub mod findings;
pub mod migrating;
pub mod observability;
pub mod reliability;
