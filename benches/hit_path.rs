//! The time of a call that returns current credentials, compared with the floor: 1, 2, 8 and 64 tasks on a runtime with
//! two threads. `benches/README.md` explains how to read the output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark")]

#[path = "support/warm.rs"]
mod warm;

use std::future::Future;
use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use divan::Bencher;
use divan::counter::ItemsCount;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use warm::Warm;

const TASKS: [usize; 4] = [1, 2, 8, 64];
/// Calls of all tasks together: so many that the time to start the tasks does not matter.
const CALLS: usize = 64 * 1024;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});
static WARM: LazyLock<Arc<Warm>> = LazyLock::new(|| Arc::new(RUNTIME.block_on(Warm::start())));

fn main() {
    LazyLock::force(&WARM);
    divan::main();
}

/// Runs `call` repeatedly in `tasks` tasks.
fn calls<F>(bencher: Bencher<'_, '_>, tasks: usize, call: impl Fn(Arc<Warm>, usize) -> F + Copy + Sync)
where
    F: Future<Output = ()> + Send + 'static,
{
    bencher.counter(ItemsCount::new(CALLS)).bench(|| {
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            running.spawn_on(call(Arc::clone(&WARM), CALLS / tasks), RUNTIME.handle());
        }
        RUNTIME.block_on(running.join_all());
    });
}

/// The part that reads the clock.
#[divan::bench]
#[allow(clippy::disallowed_methods, reason = "it is measured")]
fn clock() -> SystemTime {
    SystemTime::now()
}

#[divan::bench(args = TASKS)]
fn floor(bencher: Bencher<'_, '_>, tasks: usize) {
    calls(bencher, tasks, async |warm, times| {
        for _ in 0..times {
            drop(black_box(warm.floor.provide_credentials().await));
        }
    });
}

#[divan::bench(args = TASKS)]
fn provide_credentials(bencher: Bencher<'_, '_>, tasks: usize) {
    calls(bencher, tasks, async |warm, times| {
        for _ in 0..times {
            drop(black_box(warm.provider.provide_credentials().await));
        }
    });
}

#[divan::bench(args = TASKS)]
fn credentials(bencher: Bencher<'_, '_>, tasks: usize) {
    calls(bencher, tasks, async |warm, times| {
        for _ in 0..times {
            drop(black_box(warm.provider.credentials().await));
        }
    });
}

#[divan::bench(args = TASKS)]
fn cached(bencher: Bencher<'_, '_>, tasks: usize) {
    calls(bencher, tasks, async |warm, times| {
        for _ in 0..times {
            drop(black_box(warm.provider.cached()));
        }
    });
}

#[divan::bench(args = TASKS)]
fn identity_cache(bencher: Bencher<'_, '_>, tasks: usize) {
    calls(bencher, tasks, async |warm, times| {
        for _ in 0..times {
            drop(black_box(warm.identities.resolve().await));
        }
    });
}
