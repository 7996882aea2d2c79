//! A whole migration from IRSA to EKS Pod Identity in one run: each step a rolling deployment, a real S3 client in every
//! pod that lists buckets twenty times a second, and no call that fails. `--nocapture` shows the timeline.
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

/// Short, so that there are refreshes in every step.
const LIFETIME: Duration = Duration::from_secs(4);
/// Twenty a second.
const BETWEEN_CALLS: Duration = Duration::from_millis(50);
/// What each step waits for takes some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One pod of a deployment: a process of its own, as far as a thread with a runtime of its own can be one. Its events are
/// told apart by the thread's name.
struct Pod {
    name: &'static str,
    status: watch::Receiver<Status>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What all pods have called.
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
        let status = timeout(PATIENCE, is_ready).await.unwrap().unwrap();
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
        let status = timeout(PATIENCE, self.status.wait_for(wanted)).await;
        status.unwrap_or_else(|_| panic!("{} waits for ever", self.name)).unwrap().clone()
    }

    /// Two refreshes by `source`, no less.
    async fn lives_by(&mut self, source: SourceKind) {
        let before = self.status.borrow().refreshes;
        let after = self.until(|status| status.refreshes >= before + 2).await;
        assert_eq!(after.source, Some(source), "{}", self.name);
    }

    async fn comes_to(&mut self, source: SourceKind) -> Status {
        self.until(|status| status.source == Some(source)).await
    }
}

/// The pod's service: says that it is ready when the first call has succeeded.
async fn list_until(
    stop: &AtomicBool,
    builder: Builder,
    ready: oneshot::Sender<watch::Receiver<Status>>,
    calls: &Calls,
    timeline: &Timeline,
) {
    // On the thread of this pod, by whose name the timeline tells the pods apart.
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
async fn no_call_fails_on_the_road_from_irsa_to_pod_identity() {
    use SourceKind::{PodIdentity, WebIdentity};
    let timeline = Timeline::begin("operator");
    // Not under the sieve: the S3 stand-in logs whole requests.
    tracing_subscriber::registry().with(timeline.layer()).init();
    let aws = LocalPod::start().await.unwrap();
    aws.sts().set_lifetime(LIFETIME);
    aws.agent().set_lifetime(LIFETIME);
    let s3 = LocalS3::start(aws.ledger().clone()).await.unwrap();
    let service = |env| builder(with(env, "AWS_ENDPOINT_URL_S3", s3.url()));
    let cluster = Cluster { timeline: timeline.clone(), calls: Arc::default() };

    let mut pod = cluster.roll_out("irsa-alone", service(aws.irsa_env()), None).await;
    pod.lives_by(WebIdentity).await;
    assert_eq!(aws.agent().requests(), 0);

    timeline.say("create the association: pods that start from now on have both");
    let both = || service(aws.both_env()).fallback(true);
    pod = cluster.roll_out("both-irsa-first", both(), Some(pod)).await;
    assert!(both().build().unwrap().compare().await.unwrap().is_ready());
    timeline.say("compare() with the new configuration: ready to cut over");
    pod.lives_by(WebIdentity).await;
    assert_eq!(aws.agent().requests(), 1);

    // A pod that is late for the cut-over, or that nobody has thought of.
    let mut straggler = pod;
    timeline.say("cut over: EKS_CREDENTIALS_SOURCE=pod-identity");
    let cut_over = service(with(aws.both_env(), "EKS_CREDENTIALS_SOURCE", "pod-identity")).fallback(true);
    pod = cluster.roll_out("both-pod-identity-first", cut_over, None).await;
    pod.lives_by(PodIdentity).await;

    timeline.say("remove the trust of IRSA from the role, while a pod still lives by it");
    aws.sts().always(Answer::refuse_with("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    let handed_over = straggler.comes_to(PodIdentity).await;
    assert!(handed_over.is_ready() && handed_over.last_error.is_none());
    timeline.say("restore the trust: the next refresh goes back to IRSA");
    aws.sts().always(Answer::proper());
    straggler.comes_to(WebIdentity).await;
    timeline.say("remove the trust for good");
    aws.sts().always(Answer::refuse_with("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    straggler.comes_to(PodIdentity).await;
    cluster.stop(straggler).await;
    pod.lives_by(PodIdentity).await;

    let asked = aws.sts().requests();
    timeline.say("remove the annotation: pods that start from now on have Pod Identity alone");
    pod = cluster.roll_out("pod-identity-alone", service(aws.pod_identity_env()), Some(pod)).await;
    pod.lives_by(PodIdentity).await;
    cluster.stop(pod).await;
    assert_eq!(aws.sts().requests(), asked, "nobody asks STS any more");

    let (succeeded, failed) = (cluster.calls.succeeded.load(Relaxed), cluster.calls.failed.load(Relaxed));
    timeline.say(&format!("{succeeded} calls succeeded, {failed} failed"));
    println!("{timeline}");
    assert_eq!(support::leaked(&timeline.to_string()), None);
    timeline.assert_tells(&[
        ("irsa-alone", "INFO first credentials source=irsa"),
        ("both-irsa-first", "INFO first credentials source=irsa"),
        ("operator", "compare() with the new configuration: ready to cut over"),
        ("both-pod-identity-first", "INFO first credentials source=pod-identity"),
        ("both-irsa-first", "WARN the preferred source was denied, falling back to the other one denied=irsa"),
        ("both-irsa-first", "INFO credentials come from another source now source=pod-identity previous=irsa"),
        ("both-irsa-first", "INFO credentials come from another source now source=irsa previous=pod-identity"),
        ("both-irsa-first", "INFO credentials come from another source now source=pod-identity previous=irsa"),
        ("pod-identity-alone", "INFO first credentials source=pod-identity"),
    ]);
    assert!(failed == 0 && succeeded > 200, "{succeeded} calls succeeded, {failed} failed");
}
