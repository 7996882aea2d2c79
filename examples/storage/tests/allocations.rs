//! A call of `object_store` that is served without waiting makes one allocation: the future that the trait requires.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use storage::LocalStorage;

/// The allocations of a call that is ready at its first poll.
fn allocations<F: Future>(call: impl FnOnce() -> F) -> u64 {
    let counted = allocation_counter::measure(|| {
        let result = pin!(call()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(black_box(result).is_ready());
    });
    counted.count_total
}

#[tokio::test]
async fn call_served_from_the_cache_allocates_only_its_future() {
    let local = LocalStorage::start().await.unwrap();
    let provider = local.provider().unwrap();
    let (new, old) = (provider.object_store_0_14(), provider.object_store_0_13());
    let valid_for = provider.object_store_0_14_valid_for(Duration::from_secs(900));
    new.get_credential().await.unwrap();
    old.get_credential().await.unwrap();
    valid_for.get_credential().await.unwrap();
    assert_eq!(allocations(|| new.get_credential()), 1, "0.14");
    assert_eq!(allocations(|| old.get_credential()), 1, "0.13");
    assert_eq!(allocations(|| valid_for.get_credential()), 1, "valid_for");
}
