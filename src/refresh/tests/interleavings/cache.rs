//! The cache with concurrent readers and writers, in every order.

use std::sync::Arc;

use super::harness::exhaustively;
use crate::refresh::cache::{Cache, Entry};

#[test]
fn cache_loses_no_update_in_any_order() {
    exhaustively(|| {
        let cache = Arc::new(Cache::default());
        let add = |cache: &Cache| {
            cache.update(|entry| {
                entry.refreshes_ended += 1;
                entry.refreshes += 1;
            });
        };
        let writer = shuttle::thread::spawn({
            let cache = Arc::clone(&cache);
            move || add(&cache)
        });
        let reader = shuttle::thread::spawn({
            let cache = Arc::clone(&cache);
            move || {
                let entry = cache.load_full();
                assert_eq!(entry.refreshes_ended, entry.refreshes);
            }
        });
        add(&cache);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!((cache.load().refreshes_ended, cache.load().refreshes), (2, 2));
    });
}

#[test]
fn cache_rejects_a_replaced_or_closed_task_in_any_order() {
    exhaustively(|| {
        let cache = Arc::new(Cache::default());
        let epoch = cache.next_epoch();
        let replaced = shuttle::thread::spawn({
            let cache = Arc::clone(&cache);
            move || cache.update_as(epoch, |entry| entry.refreshes = 1)
        });
        // The same as `close`.
        let next = cache.next_epoch();
        cache.update(|entry| *entry = Entry::default());
        assert_eq!(cache.load().refreshes, 0);
        assert!(cache.update_as(next, |entry| entry.refreshes = 2));
        replaced.join().unwrap();
        assert_eq!(cache.load().refreshes, 2);
    });
}
