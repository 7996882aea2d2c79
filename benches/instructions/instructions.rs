//! The number of instructions of a call that returns current credentials. It does not depend on the load of the
//! machine, only on the compiler. The benchmark fails if a count exceeds the one in this file by more than 5 %.
//!
//! ```sh
//! cargo bench --manifest-path benches/instructions/Cargo.toml
//! ```
//!
//! It needs valgrind and `gungraun-runner`; `.ci/run` installs both. It is a separate package, because the benchmarks
//! of the main package are built with all dependencies of its tests. The counts are those of rustc 1.95 on x86-64. If
//! another compiler needs other counts, change them in a separate commit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unused_qualifications,
    reason = "a benchmark"
)]

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_credential_types::provider::ProvideCredentials as _;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use warm::Warm;

/// The count plus 5 %.
const fn at_most(counted: u64) -> u64 {
    counted + counted / 20
}

/// Leaks the provider, so that moving and dropping it is not counted.
fn started() -> &'static Warm {
    let runtime = Box::leak(Box::new(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one")));
    let warm = Box::leak(Box::new(runtime.block_on(Warm::start())));
    // The first load in a thread registers the thread with arc-swap.
    black_box(ready(warm.identities.resolve()).expect("an identity"));
    warm
}

fn ready<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a call with current credentials waited"),
    }
}

fn limit(counted: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, at_most(counted))]).clone());
    config
}

#[library_benchmark(config = limit(255))]
#[bench::warm(started())]
fn floor(warm: &'static Warm) -> impl Sized {
    ready(warm.floor.provide_credentials())
}

#[library_benchmark(config = limit(295))]
#[bench::warm(started())]
fn provide_credentials(warm: &'static Warm) -> impl Sized {
    ready(warm.provider.provide_credentials())
}

#[library_benchmark(config = limit(381))]
#[bench::warm(started())]
fn credentials(warm: &'static Warm) -> impl Sized {
    ready(warm.provider.credentials())
}

#[library_benchmark(config = limit(267))]
#[bench::warm(started())]
fn cached(warm: &'static Warm) -> impl Sized {
    warm.provider.cached()
}

#[library_benchmark(config = limit(502))]
#[bench::warm(started())]
fn identity_cache(warm: &'static Warm) -> impl Sized {
    ready(warm.identities.resolve())
}

library_benchmark_group!(
    name = hit_path,
    benchmarks = [floor, provide_credentials, credentials, cached, identity_cache]
);
main!(library_benchmark_groups = hit_path);
