//! A request that is served at once allocates nothing.
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

/// Asks, and polls the answer once: who is served at once is ready.
fn allocations<F: Future>(ask: impl FnOnce() -> F) -> AllocationInfo {
    allocation_counter::measure(|| {
        let answer = pin!(ask()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(black_box(answer).is_ready());
    })
}

#[tokio::test]
async fn whoever_is_served_at_once_allocates_nothing() {
    let warm = Warm::start().await;
    let none = AllocationInfo::default();
    assert_eq!(allocations(|| warm.provider.provide_credentials()), none, "provide_credentials");
    assert_eq!(allocations(|| warm.provider.credentials()), none, "credentials");
    assert_eq!(allocations(|| async { warm.provider.cached() }), none, "cached");
    // An SDK identity that knows the account carries it in a map, and cannot be cloned without.
    let identity = warm.identities.ask().await.unwrap();
    let of_clone = allocations(|| async { identity.clone() });
    assert_eq!(allocations(|| warm.identities.ask()), of_clone, "identity_cache");
    assert_eq!(of_clone.count_total, 1, "a clone");
    assert_eq!(allocations(|| warm.floor.provide_credentials()), none, "the floor");
    assert_eq!(allocations(|| async { Box::new(7) }).count_total, 1, "the count");
}
