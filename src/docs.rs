//! Pages to read.

#[cfg(feature = "diagnose")]
pub mod findings;
pub mod observability;
pub mod reliability;
