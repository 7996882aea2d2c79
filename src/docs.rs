//! Pages to read.

pub mod choosing;
pub mod failures;
#[cfg(feature = "diagnose")]
pub mod findings;
pub mod migrating;
pub mod observability;
pub mod reliability;
#[cfg(feature = "sdk-config")]
pub mod switching_from_aws_config;
