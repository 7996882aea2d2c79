use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use super::*;
use crate::env::{CONTAINER_FULL_URI, CONTAINER_TOKEN, HOSTNAME};
use crate::error::ErrorKind;

const AGENT: &str = "http://169.254.170.23/v1/credentials";

fn env(more: &[(&str, &str)]) -> Env {
    let agent = [(CONTAINER_FULL_URI, AGENT), (CONTAINER_TOKEN, "token")];
    Env::from_os(agent.iter().chain(more).map(|(name, value)| (name.into(), value.into())))
}

fn build(env: &Env) -> Result<EksCredentialsProvider, Error> {
    EksCredentialsProvider::builder().env_snapshot(env.clone()).build()
}

fn get(registry: &Registry, env: &Env) -> EksCredentialsProvider {
    registry.get_or_build(env, || build(env)).unwrap()
}

fn is_same(one: &EksCredentialsProvider, other: &EksCredentialsProvider) -> bool {
    Arc::ptr_eq(one.core(), other.core())
}

#[test]
fn registry_returns_the_provider_in_use_for_an_equal_environment() {
    let registry = Registry::new();
    let first = get(&registry, &env(&[]));
    let second = registry
        .get_or_build(&env(&[("PATH", "/bin")]), || unreachable!("a provider for this environment exists"))
        .unwrap();
    assert!(is_same(&first, &second), "PATH is not read by this crate");
}

#[test]
fn registry_builds_another_provider_for_another_environment() {
    let registry = Registry::new();
    let variables: [&[_]; 4] =
        [&[], &[(HOSTNAME, "pod-0")], &[("AWS_ENDPOINT_URL_SQS", "http://localhost:9324")], &[("NO_PROXY", "*")]];
    let providers = variables.map(|variables| get(&registry, &env(variables)));
    for (n, provider) in providers.iter().enumerate() {
        assert!(providers.iter().skip(n + 1).all(|other| !is_same(provider, other)), "number {n}");
        assert!(is_same(provider, &get(&registry, &env(variables[n]))), "number {n}");
    }
}

#[test]
fn registry_keeps_nothing_after_the_last_user() {
    let registry = Registry::new();
    let env = env(&[]);
    let first = get(&registry, &env);
    let (second, state) = (first.clone(), Arc::downgrade(first.core()));
    drop(first);
    assert!(state.upgrade().is_some(), "one user is left");
    drop(second);
    assert!(state.upgrade().is_none());
    assert_eq!(env.users(), 1, "only this test holds it");

    let after = get(&registry, &env);
    assert!(!std::ptr::eq(state.as_ptr(), Arc::as_ptr(after.core())), "`state` prevents reuse of its memory");
    assert_eq!(registry.lock().len(), 1, "the entry of the dropped provider was removed");
}

/// Every thread finds no provider and builds one before any of them registers its own.
#[test]
fn registry_returns_one_provider_to_concurrent_calls() {
    const THREADS: usize = 8;
    let (registry, all_have_built, builds) = (Registry::new(), Barrier::new(THREADS), AtomicUsize::new(0));
    let caller = || {
        let env = env(&[]);
        let built = registry.get_or_build(&env, || {
            let provider = build(&env);
            builds.fetch_add(1, Ordering::Relaxed);
            all_have_built.wait();
            provider
        });
        built.unwrap()
    };
    let providers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(caller)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(builds.into_inner(), THREADS);
    assert!(providers.iter().all(|provider| is_same(provider, &providers[0])));
    assert_eq!(registry.lock().len(), 1);
}

#[test]
fn registry_does_not_keep_an_error_of_build() {
    let registry = Registry::new();
    let env = env(&[]);
    let wrong = || Err(Error::internal(ErrorKind::InvalidConfiguration, "scripted"));
    let error = registry.get_or_build(&env, wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    assert!(registry.lock().is_empty());
    registry.get_or_build(&env, || build(&env)).unwrap();
}

/// A subscriber that calls `shared` while `build` logs must not deadlock.
#[test]
fn registry_builds_without_holding_its_lock() {
    let registry = Registry::new();
    let env = env(&[]);
    let mut inner = None;
    let outer = registry.get_or_build(&env, || {
        inner = Some(get(&registry, &env));
        build(&env)
    });
    assert!(is_same(&outer.unwrap(), &inner.unwrap()));
}
