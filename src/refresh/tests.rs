//! Tests of the refresh task and its callers. They run on virtual time, or, with `--cfg shuttle`, in a model checker.

#[cfg(shuttle)]
mod interleavings;
#[cfg(shuttle)]
pub(super) mod model;
#[cfg(not(shuttle))]
mod schedule;
#[cfg(not(shuttle))]
mod virtual_time;
