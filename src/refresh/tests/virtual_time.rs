//! The refresh task and its callers on virtual time: the paused clock of tokio, and a wall clock that follows it and
//! can jump.

mod bench;
mod clocks;
mod cold_start;
mod expiry;
mod invalidation;
mod lasting;
mod outages;
mod refreshing;
mod runtimes;
mod simulation;
