//! Pages to read.

pub mod choosing;
pub mod migrating;
pub mod reliability;
