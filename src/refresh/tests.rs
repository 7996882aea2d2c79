//! Tests of the refresh task with its callers. Under `--cfg shuttle` they run in a model checker instead of on virtual time.

#[cfg(shuttle)]
mod interleavings;
#[cfg(shuttle)]
pub(super) mod model;
#[cfg(not(shuttle))]
mod schedule;
#[cfg(not(shuttle))]
mod virtual_time;
