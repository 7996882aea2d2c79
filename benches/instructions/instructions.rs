//! How many instructions it takes to get credentials that are at hand: the same count on every machine with the same
//! compiler, however busy. Fails when one of them has grown by more than 5 % over the count that is written down here.
//!
//! ```sh
//! cargo bench --manifest-path benches/instructions/Cargo.toml
//! ```
//!
//! Needs valgrind and `gungraun-runner`; `.ci/run` installs both. A package of its own, because the benchmarks of the main
//! one are built with everything that its tests need. The counts belong to rustc 1.95 on x86-64: another
//! compiler may need other counts, which a change of them alone in a commit of its own then says.
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

/// Five hundredths more than was counted.
const fn at_most(counted: u64) -> u64 {
    counted + counted / 20
}

/// Lives on, because a provider that is dropped, or moved, has no place in what is counted.
fn started() -> &'static Warm {
    let runtime = Box::leak(Box::new(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one")));
    let warm = Box::leak(Box::new(runtime.block_on(Warm::start())));
    // The first load of a thread makes its place in arc-swap's list.
    black_box(ready(warm.identities.ask()).expect("an identity"));
    warm
}

fn ready<F: Future>(asked: F) -> F::Output {
    match pin!(asked).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("whoever is served at once does not wait"),
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
    ready(warm.identities.ask())
}

library_benchmark_group!(
    name = hit_path,
    benchmarks = [floor, provide_credentials, credentials, cached, identity_cache]
);
main!(library_benchmark_groups = hit_path);
