//! Pages to read.

pub mod observability;
pub mod reliability;
