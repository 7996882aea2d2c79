//! Runs a whole migration from IRSA to EKS Pod Identity. Each step is a rolling deployment. In every pod, a real S3
//! client lists buckets twenty times a second, and no call may fail. `--nocapture` shows the timeline.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../examples/support/local_s3.rs"]
mod local_s3;
mod support;
#[path = "support/timeline.rs"]
mod timeline;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{BehaviorVersion, Builder, SourceKind, Status};
use local_s3::{BUCKETS, LocalS3};
use support::{builder, with};
use timeline::Timeline;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing_subscriber::prelude::*;

/// A short lifetime, so that credentials are refreshed in each step.
const LIFETIME: Duration = Duration::from_secs(4);
/// Twenty calls a second.
const BETWEEN_CALLS: Duration = Duration::from_millis(50);
/// The time limit for each wait. Most waits take a few seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// One pod of a deployment, simulated by a thread with its own runtime. The name of the thread identifies its events.
struct Pod {
    name: &'static str,
    status: watch::Receiver<Status>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The calls of all pods.
#[derive(Default)]
struct Calls {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

struct Cluster {
    timeline: Timeline,
    calls: Arc<Calls>,
}

impl Cluster {
    /// A rolling deployment: the new pod is ready before the old one is stopped.
    async fn roll_out(&self, name: &'static str, builder: Builder, old: Option<Pod>) -> Pod {
        self.timeline.say(&format!("roll out {name}"));
        let pod = self.start(name, builder).await;
        if let Some(old) = old {
            self.stop(old).await;
        }
        pod
    }

    async fn start(&self, name: &'static str, builder: Builder) -> Pod {
        let (ready, is_ready) = oneshot::channel();
        let stop = Arc::<AtomicBool>::default();
        let (stopped, calls, timeline) = (Arc::clone(&stop), Arc::clone(&self.calls), self.timeline.clone());
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(list_until(&stopped, builder, ready, &calls, &timeline));
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve).unwrap();
        let status = timeout(LIMIT, is_ready).await.unwrap().unwrap();
        Pod { name, status, stop, thread }
    }

    async fn stop(&self, pod: Pod) {
        self.timeline.say(&format!("stop {}", pod.name));
        pod.stop.store(true, Relaxed);
        tokio::task::spawn_blocking(move || pod.thread.join().unwrap()).await.unwrap();
    }
}

impl Pod {
    async fn until(&mut self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let status = timeout(LIMIT, self.status.wait_for(wanted)).await;
        status.unwrap_or_else(|_| panic!("{} hangs", self.name)).unwrap().clone()
    }

    /// Waits for two more refreshes, and checks that they used `source`.
    async fn refreshes_from(&mut self, source: SourceKind) {
        let before = self.status.borrow().refreshes;
        let after = self.until(|status| status.refreshes >= before + 2).await;
        assert_eq!(after.source, Some(source), "{}", self.name);
    }

    /// Waits until the current credentials come from `source`.
    async fn switches_to(&mut self, source: SourceKind) -> Status {
        self.until(|status| status.source == Some(source)).await
    }
}

/// The service in a pod. It sends `ready` after the first call.
async fn list_until(
    stop: &AtomicBool,
    builder: Builder,
    ready: oneshot::Sender<watch::Receiver<Status>>,
    calls: &Calls,
    timeline: &Timeline,
) {
    // The refresh task runs on the thread of this pod, because the timeline identifies pods by the thread.
    let provider = builder.runtime(tokio::runtime::Handle::current()).build().unwrap();
    timeline.say(&provider.detection().unwrap().to_string());
    let s3 = Client::new(&provider.sdk_config(BehaviorVersion::latest()).build());
    let mut ready = Some(ready);
    let mut ticks = interval(BETWEEN_CALLS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Relaxed) {
        ticks.tick().await;
        match s3.list_buckets().send().await {
            Ok(listed) => {
                assert_eq!(listed.buckets().len(), BUCKETS.len());
                calls.succeeded.fetch_add(1, Relaxed);
            }
            Err(error) => {
                timeline.say(&format!("A CALL FAILED: {}", DisplayErrorContext(error)));
                calls.failed.fetch_add(1, Relaxed);
            }
        }
        if let Some(ready) = ready.take() {
            ready.send(provider.subscribe()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_from_irsa_to_pod_identity_fails_no_call() {
    use SourceKind::{PodIdentity, WebIdentity};
    let timeline = Timeline::begin("operator");
    // `support::trace` is not used here, because the S3 stand-in logs whole requests.
    tracing_subscriber::registry().with(timeline.layer()).init();
    let aws = LocalPod::start().await.unwrap();
    aws.sts().set_lifetime(LIFETIME);
    aws.agent().set_lifetime(LIFETIME);
    let s3 = LocalS3::start(aws.ledger().clone()).await.unwrap();
    let service = |env| builder(with(env, "AWS_ENDPOINT_URL_S3", s3.url()));
    let cluster = Cluster { timeline: timeline.clone(), calls: Arc::default() };

    let mut pod = cluster.roll_out("irsa-alone", service(aws.irsa_env()), None).await;
    pod.refreshes_from(WebIdentity).await;
    assert_eq!(aws.agent().requests(), 0);

    timeline.say("create the association: pods that start from now on are configured for both");
    let both = || service(aws.both_env()).fallback(true);
    pod = cluster.roll_out("both-irsa-first", both(), Some(pod)).await;
    let comparison = both().build().unwrap().compare().await.unwrap();
    timeline.say(&format!("compare both sources: ready to cut over: {}", comparison.is_ready()));
    assert!(comparison.is_ready());
    pod.refreshes_from(WebIdentity).await;
    assert_eq!(aws.agent().requests(), 1);

    // This pod is not part of the cut-over.
    let mut late_pod = pod;
    timeline.say("cut over: EKS_CREDENTIALS_SOURCE=pod-identity");
    let cut_over = service(with(aws.both_env(), "EKS_CREDENTIALS_SOURCE", "pod-identity")).fallback(true);
    pod = cluster.roll_out("both-pod-identity-first", cut_over, None).await;
    pod.refreshes_from(PodIdentity).await;

    timeline.say("remove the trust of IRSA from the role while a pod still uses it");
    aws.sts().always(Answer::refuse_with("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    let fallback = late_pod.switches_to(PodIdentity).await;
    assert!(fallback.is_ready() && fallback.last_error.is_none());
    timeline.say("restore the trust: the next refresh uses IRSA again");
    aws.sts().always(Answer::proper());
    late_pod.switches_to(WebIdentity).await;
    timeline.say("remove the trust permanently");
    aws.sts().always(Answer::refuse_with("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    late_pod.switches_to(PodIdentity).await;
    cluster.stop(late_pod).await;
    pod.refreshes_from(PodIdentity).await;

    let requests = aws.sts().requests();
    timeline.say("remove the annotation: pods that start from now on have only Pod Identity");
    pod = cluster.roll_out("pod-identity-alone", service(aws.pod_identity_env()), Some(pod)).await;
    pod.refreshes_from(PodIdentity).await;
    cluster.stop(pod).await;
    assert_eq!(aws.sts().requests(), requests, "there are no more requests to STS");

    let (succeeded, failed) = (cluster.calls.succeeded.load(Relaxed), cluster.calls.failed.load(Relaxed));
    timeline.say(&format!("{succeeded} calls succeeded, {failed} failed"));
    println!("{timeline}");
    assert_eq!(support::leaked(&timeline.to_string()), None);
    timeline.assert_tells(&[
        ("irsa-alone", "INFO fetched the first credentials source=irsa"),
        ("both-irsa-first", "INFO fetched the first credentials source=irsa"),
        ("operator", "compare both sources: ready to cut over: true"),
        ("both-pod-identity-first", "INFO fetched the first credentials source=pod-identity"),
        ("both-irsa-first", "WARN the preferred source was denied, falling back to the other source denied=irsa"),
        ("both-irsa-first", "INFO switched to another credential source source=pod-identity previous=irsa"),
        ("both-irsa-first", "INFO switched to another credential source source=irsa previous=pod-identity"),
        ("both-irsa-first", "INFO switched to another credential source source=pod-identity previous=irsa"),
        ("pod-identity-alone", "INFO fetched the first credentials source=pod-identity"),
    ]);
    assert!(failed == 0 && succeeded > 200, "{succeeded} calls succeeded, {failed} failed");
}
