//! The agent at its real addresses, on a real network that drops packets, and refuses and resets connections.
//!
//! Each test has its own network ([`namespace`]) and runs in real time, with the retransmissions and timeouts of the kernel.
//! nftables causes the faults, because it needs only the kernel module `nf_tables`. `tc netem` needs a module that many machines
//! lack.
#![cfg(all(feature = "pod-identity", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod namespace;
mod support;

use std::pin::pin;
use std::time::Duration;

use eks_credentials::testing::LocalPod;
use eks_credentials::{EksCredentialsProvider, ErrorKind, Health, Status};
use namespace::{Network, V4, V6};
use support::{builder, millis, provider, whole};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

async fn pod_at(ip: &str) -> LocalPod {
    LocalPod::builder().agent_address((ip.parse::<std::net::IpAddr>().unwrap(), 80).into()).start().await.unwrap()
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_agent_answers_at_both_addresses() {
    namespace::run("network_agent_answers_at_both_addresses", async |_| {
        support::trace();
        let injected = [(V4, "http://169.254.170.23/v1/credentials"), (V6, "http://[fd00:ec2::23]/v1/credentials")];
        for (ip, uri) in injected {
            let pod = pod_at(ip).await;
            assert!(pod.pod_identity_env().iter().any(|(_, value)| value == uri), "{:?}", pod.pod_identity_env());
            let got = provider(pod.pod_identity_env()).credentials().await.unwrap();
            assert!(pod.ledger().get(got.access_key_id()).is_some());
            assert_eq!(pod.agent().requests(), 1);
        }
    });
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_blackhole_is_a_timeout() {
    namespace::run("network_blackhole_is_a_timeout", async |network| {
        fails_and_passes(&network, "tcp dport 80 drop", ErrorKind::Timeout, "did not accept a connection within 2s")
            .await;
    });
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_request_that_is_dropped_is_a_timeout() {
    namespace::run("network_request_that_is_dropped_is_a_timeout", async |network| {
        let rule = "tcp dport 80 tcp flags & psh == psh drop";
        fails_and_passes(&network, rule, ErrorKind::Timeout, "did not respond within 3.0s").await;
    });
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_rejected_connection_is_a_refusal() {
    namespace::run("network_rejected_connection_is_a_refusal", async |network| {
        let rule = "tcp dport 80 reject with icmpx port-unreachable";
        fails_and_passes(&network, rule, ErrorKind::Unavailable, "refused the connection").await;
    });
}

/// The response of some firewalls, and of hosts without a route.
#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_prohibited_connection_is_not_reachable() {
    namespace::run("network_prohibited_connection_is_not_reachable", async |network| {
        let rule = "tcp dport 80 reject with icmpx admin-prohibited";
        fails_and_passes(&network, rule, ErrorKind::Unavailable, "could not be reached").await;
    });
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_reset_of_a_connection_attempt_is_a_refusal() {
    namespace::run("network_reset_of_a_connection_attempt_is_a_refusal", async |network| {
        let rule = "tcp dport 80 reject with tcp reset";
        fails_and_passes(&network, rule, ErrorKind::Unavailable, "refused the connection").await;
    });
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_reset_instead_of_a_response_is_a_reset() {
    namespace::run("network_reset_instead_of_a_response_is_a_reset", async |network| {
        let rule = "tcp dport 80 tcp flags & psh == psh reject with tcp reset";
        fails_and_passes(&network, rule, ErrorKind::Unavailable, "reset the connection").await;
    });
}

/// With the fault `rule`, a cold start fails with the expected error, and current credentials are still served. After the fault,
/// both providers recover.
async fn fails_and_passes(network: &Network, rule: &str, kind: ErrorKind, said: &str) {
    support::trace();
    for ip in [V4, V6] {
        let pod = pod_at(ip).await;
        // The refresh begins after 10–15 s. An attempt takes 3 s, so it fails at least 2 s before the credentials expire, and
        // another one begins.
        pod.agent().set_lifetime(20 * SECOND);
        let builder = || builder(pod.pod_identity_env()).attempt_timeout(3 * SECOND).connect_timeout(2 * SECOND);
        let served = builder().build().unwrap();
        served.warm_up().await.unwrap();
        let mut changes = served.subscribe();
        let requests = pod.agent().requests();
        network.rule(rule);

        let cold = builder().startup_timeout(4 * SECOND).build().unwrap();
        let error = while_calling(&served, cold.credentials()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{}", whole(&error));
        for part in ["EKS Pod Identity agent at http://", ip, said, "NetworkPolicy"] {
            assert!(error.to_string().contains(part), "{}\nlacks {part}", whole(&error));
        }

        let status = while_calling(&served, until(&mut changes, |status| status.health == Health::Degraded)).await;
        assert_eq!(status.last_error.unwrap().kind(), kind);
        assert_eq!(pod.agent().requests(), requests, "the rule lets nothing through");
        network.heal();
        while_calling(&served, until(&mut changes, |status| status.health == Health::Ready)).await;
        until(&mut cold.subscribe(), Status::is_ready).await;
    }
}

/// Almost a third of all packets in both directions are lost, so every part of an exchange is lost sometimes.
#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_that_loses_packets_delivers_credentials() {
    namespace::run("network_that_loses_packets_delivers_credentials", async |network| {
        support::trace();
        let pod = pod_at(V4).await;
        network.rule("tcp dport 80 numgen random mod 100 < 30 drop; tcp sport 80 numgen random mod 100 < 30 drop");
        let providers: Vec<_> = (0..10).map(|_| provider(pod.pod_identity_env())).collect();
        let began = Instant::now();
        let mut calls = tokio::task::JoinSet::new();
        for provider in providers {
            calls.spawn(async move { provider.credentials().await });
        }
        while let Some(got) = calls.join_next().await {
            let got = got.unwrap();
            println!("after {:?}", began.elapsed());
            assert!(got.is_ok(), "{}", whole(&got.unwrap_err()));
        }
        assert!(began.elapsed() > SECOND, "no packet was lost");
    });
}

/// On a new node, the agent's interface does not exist at first, and then nothing listens at its address.
#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_agent_may_start_fifteen_seconds_after_the_pod() {
    namespace::run("network_agent_may_start_fifteen_seconds_after_the_pod", async |network| {
        support::trace();
        let pod = pod_at(V4).await;
        pod.agent().stop().await;
        network.unplug();
        let provider = provider(pod.pod_identity_env());
        let began = Instant::now();
        let agent = async {
            sleep(7 * SECOND).await;
            network.plug();
            sleep(8 * SECOND).await;
            pod.agent().restart().await.unwrap();
        };
        let (got, ()) = tokio::join!(provider.credentials(), agent);
        assert!(got.is_ok(), "{}", whole(&got.unwrap_err()));
        let took = began.elapsed();
        assert!((15 * SECOND..18 * SECOND).contains(&took), "{took:?}");
        assert_eq!(pod.agent().requests(), 1);
    });
}

/// The agent is restarted several times, as by updates of its add-on: between requests and during one.
#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn network_agent_restarts_do_not_affect_callers() {
    namespace::run("network_agent_restarts_do_not_affect_callers", async |_| {
        support::trace();
        let pod = pod_at(V4).await;
        // The refresh begins after 5–7.5 s. This leaves time for two more attempts, at least a second apart, before expiry.
        pod.agent().set_lifetime(10 * SECOND).set_latency(millis(200));
        let provider = provider(pod.pod_identity_env());
        provider.warm_up().await.unwrap();
        let mut changes = provider.subscribe();
        for in_the_middle in [false, true, false, true] {
            let requests = pod.agent().requests();
            let restart = async {
                while in_the_middle && pod.agent().requests() == requests {
                    tokio::task::yield_now().await;
                }
                pod.agent().stop().await;
                until(&mut changes, |status| status.health == Health::Degraded).await;
                pod.agent().restart().await.unwrap();
                until(&mut changes, |status| status.health == Health::Ready).await;
            };
            while_calling(&provider, restart).await;
        }
        assert_eq!(pod.agent().most_at_once(), 1);
    });
}

/// Calls the provider every millisecond until `event` completes. No call may fail, wait, or return expired credentials.
async fn while_calling<T>(provider: &EksCredentialsProvider, event: impl Future<Output = T>) -> T {
    let mut ticks = interval(millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut event = pin!(event);
    loop {
        tokio::select! {
            biased;
            came = &mut event => return came,
            _ = ticks.tick() => {
                let got = tokio_test::assert_ready_ok!(tokio_test::task::spawn(provider.credentials()).poll());
                drop(got);
                assert!(provider.status().is_ready());
            }
        }
    }
}

/// Waits, with a limit, for the first status that is `wanted`.
async fn until(changes: &mut tokio::sync::watch::Receiver<Status>, wanted: impl FnMut(&Status) -> bool) -> Status {
    timeout(60 * SECOND, changes.wait_for(wanted)).await.unwrap().unwrap().clone()
}
