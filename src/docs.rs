//! Pages to read.

pub mod reliability;
