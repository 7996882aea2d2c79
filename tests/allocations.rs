//! A call that is served without waiting allocates no memory.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "../benches/support/warm.rs"]
mod warm;

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};

use allocation_counter::AllocationInfo;
use aws_credential_types::provider::ProvideCredentials as _;
use warm::Warm;

/// Counts the allocations of a call that is ready at its first poll.
fn allocations<F: Future>(call: impl FnOnce() -> F) -> AllocationInfo {
    allocation_counter::measure(|| {
        let result = pin!(call()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(black_box(result).is_ready());
    })
}

#[tokio::test]
async fn call_served_from_the_cache_allocates_nothing() {
    let warm = Warm::start().await;
    let none = AllocationInfo::default();
    assert_eq!(allocations(|| warm.provider.provide_credentials()), none, "provide_credentials");
    assert_eq!(allocations(|| warm.provider.credentials()), none, "credentials");
    assert_eq!(allocations(|| async { warm.provider.cached() }), none, "cached");
    // An SDK identity keeps the account id in a map, and cloning it allocates.
    let identity = warm.identities.resolve().await.unwrap();
    let of_clone = allocations(|| async { identity.clone() });
    assert_eq!(allocations(|| warm.identities.resolve()), of_clone, "identity_cache");
    assert_eq!(of_clone.count_total, 1, "a clone");
    assert_eq!(allocations(|| warm.floor.provide_credentials()), none, "floor");
    assert_eq!(allocations(|| async { Box::new(7) }).count_total, 1, "a box");
}
