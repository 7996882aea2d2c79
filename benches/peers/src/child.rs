//! The measured processes. Each is started with the environment of a pod, calls one subject, and prints one line of JSON.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use eks_credentials::EksCredentialsProvider;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout, timeout_at};

use crate::subject::{AccessKey as _, Name, Ours, Subject, with_subject};

/// Calls that take longer are counted like failures, because users notice them.
const NOTICED: Duration = Duration::from_millis(100);
/// How long a client waits after a failed call.
const PAUSE: Duration = Duration::from_millis(100);
/// The resolution of the plots.
const SLICE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Child {
    /// Four tasks each make a call every millisecond.
    Paced { subject: Name, seconds: u64 },
    /// A hundred callers before the first fetch. Each cancels its call after 50 ms and tries again.
    Impatient { subject: Name },
    /// Ten thousand callers at once before the first fetch.
    Stampede { subject: Name },
    /// Time and allocations of a call that returns current credentials, for all subjects in turn.
    Warm,
    /// Fifty clients at once, each with a subject of its own. Each repeats its call every 100 ms until it succeeds.
    Start { subject: Name },
    /// A thousand clients, fifty at a time. Each makes one call and ends.
    Clients { subject: Name },
    /// A call every 50 ms. Says when which credentials were returned.
    Watch { subject: Name, seconds: u64 },
    /// Lists buckets as fast as possible, across refreshes, with the credentials of the subject.
    S3 { client: crate::scenario::s3::Client, seconds: u64 },
}

impl Child {
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Paced { subject, seconds } => vec!["paced".into(), named(subject), seconds.to_string()],
            Self::Impatient { subject } => vec!["impatient".into(), named(subject)],
            Self::Stampede { subject } => vec!["stampede".into(), named(subject)],
            Self::Warm => vec!["warm".into()],
            Self::Start { subject } => vec!["start".into(), named(subject)],
            Self::Clients { subject } => vec!["clients".into(), named(subject)],
            Self::Watch { subject, seconds } => vec!["watch".into(), named(subject), seconds.to_string()],
            Self::S3 { client, seconds } => vec!["s3".into(), named(client), seconds.to_string()],
        }
    }

    pub(crate) async fn run(self) -> Result<()> {
        let answer = match self {
            Self::Paced { subject, seconds } => {
                serde_json::to_string(&with_subject!(subject, |s| paced(s, Duration::from_secs(seconds)))?)
            }
            Self::Impatient { subject } => serde_json::to_string(&with_subject!(subject, impatient)?),
            Self::Stampede { subject } => serde_json::to_string(&with_subject!(subject, stampede)?),
            Self::Warm => serde_json::to_string(&crate::scenario::warm::measure().await?),
            Self::Start { subject } => serde_json::to_string(&start(subject).await?),
            Self::Clients { subject } => serde_json::to_string(&clients(subject).await?),
            Self::Watch { subject, seconds } => {
                serde_json::to_string(&with_subject!(subject, |s| watch(s, Duration::from_secs(seconds)))?)
            }
            Self::S3 { client, seconds } => {
                serde_json::to_string(&crate::scenario::s3::measure(client, Duration::from_secs(seconds)).await?)
            }
        };
        println!("{}", answer?);
        // A fetch that still hangs must not delay the exit of the process.
        std::process::exit(0)
    }
}

/// The value as a command line argument.
fn named(value: &impl ValueEnum) -> String {
    value.to_possible_value().expect("none is skipped").get_name().to_owned()
}

/// The outcome of calls over time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Paced {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// Calls that had not returned when the run ended.
    pub(crate) unanswered: u64,
    /// Total length, in seconds, of the slices in which a call failed or took longer than 100 ms.
    pub(crate) noticed_s: f64,
    /// The duration of the slowest call that was in progress in each slice, in milliseconds.
    pub(crate) slowest_ms: Vec<f64>,
    pub(crate) failed_in: Vec<u64>,
}

/// One call: when it began, how long it took, and its outcome.
#[derive(Clone)]
struct Call {
    at: Duration,
    took: Duration,
    outcome: Outcome,
}

#[derive(Clone, PartialEq)]
enum Outcome {
    Served,
    Failed,
    Unanswered,
}

/// A closed loop: a task that waits makes no other calls meanwhile. This favours subjects that let callers wait.
async fn paced<S: Subject>(subject: S, length: Duration) -> Result<Paced> {
    let subject = Arc::new(subject);
    subject.call().await?;
    // Tells the parent process that it may inject faults.
    println!("warm");
    std::io::stdout().flush()?;
    let began = tokio::time::Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let subject = Arc::clone(&subject);
        tasks.spawn(async move {
            let mut calls = Vec::with_capacity(usize::try_from(length.as_millis()).unwrap_or_default());
            let mut ticks = interval(Duration::from_millis(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while began.elapsed() < length {
                ticks.tick().await;
                let (at, start) = (began.elapsed(), Instant::now());
                let outcome = match timeout_at(began + length, subject.call()).await {
                    Ok(Ok(credentials)) => {
                        drop(black_box(credentials));
                        Outcome::Served
                    }
                    Ok(Err(_)) => Outcome::Failed,
                    Err(_) => Outcome::Unanswered,
                };
                calls.push(Call { at, took: start.elapsed(), outcome });
            }
            calls
        });
    }
    Ok(summary(&tasks.join_all().await.concat(), length))
}

fn summary(calls: &[Call], length: Duration) -> Paced {
    let slices = usize::try_from(length.as_millis() / SLICE.as_millis()).unwrap_or_default() + 1;
    let mut paced = Paced { slowest_ms: vec![0.0; slices], failed_in: vec![0; slices], ..Paced::default() };
    let mut noticed = vec![false; slices];
    let mut histogram = Histogram::<u64>::new(3).expect("three digits");
    for Call { at, took, outcome } in calls {
        let slice =
            |at: Duration| usize::try_from(at.as_millis() / SLICE.as_millis()).unwrap_or_default().min(slices - 1);
        paced.calls += 1;
        paced.failed += u64::from(*outcome == Outcome::Failed);
        paced.unanswered += u64::from(*outcome == Outcome::Unanswered);
        histogram.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)).expect("it grows");
        let bad = *outcome != Outcome::Served || *took > NOTICED;
        if *outcome == Outcome::Failed {
            paced.failed_in[slice(*at)] += 1;
        }
        // A call counts in each slice in which it waits.
        for slice in slice(*at)..=slice(*at + *took) {
            noticed[slice] |= bad;
            paced.slowest_ms[slice] = paced.slowest_ms[slice].max(took.as_secs_f64() * 1e3);
        }
    }
    let us = |nanos: u64| nanos as f64 / 1e3;
    paced.p50_us = us(histogram.value_at_quantile(0.5));
    paced.p99_us = us(histogram.value_at_quantile(0.99));
    paced.p999_us = us(histogram.value_at_quantile(0.999));
    paced.max_us = us(histogram.max());
    paced.noticed_s = noticed.iter().filter(|bad| **bad).count() as f64 * SLICE.as_secs_f64();
    paced
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Impatient {
    pub(crate) served: u64,
    /// Time until the last caller got credentials, or until the end of the run.
    pub(crate) took_ms: f64,
}

async fn impatient<S: Subject>(subject: S) -> Result<Impatient> {
    let (subject, served) = (Arc::new(subject), Arc::new(AtomicU64::new(0)));
    let began = tokio::time::Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (subject, served) = (Arc::clone(&subject), Arc::clone(&served));
        callers.spawn(async move {
            while !matches!(timeout(Duration::from_millis(50), subject.call()).await, Ok(Ok(_))) {}
            served.fetch_add(1, Relaxed);
        });
    }
    tokio::select! {
        () = async { while callers.join_next().await.is_some() {} } => {}
        () = sleep_until(began + Duration::from_secs(10)) => {}
    }
    Ok(Impatient { served: served.load(Relaxed), took_ms: began.elapsed().as_secs_f64() * 1e3 })
}

/// Milliseconds until all ten thousand callers have credentials.
async fn stampede<S: Subject>(subject: S) -> Result<f64> {
    let subject = Arc::new(subject);
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..10_000 {
        let subject = Arc::clone(&subject);
        callers.spawn(async move { subject.call().await.map(drop) });
    }
    for outcome in callers.join_all().await {
        outcome?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// A start of many clients, of which some calls may fail.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) failed: u64,
    /// Seconds until the last client has credentials.
    pub(crate) took_s: f64,
}

async fn start(name: Name) -> Result<Start> {
    let (failed, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut running = JoinSet::new();
    for _ in 0..50 {
        let failed = Arc::clone(&failed);
        running.spawn(async move {
            // Some subjects cannot even be built without credentials.
            while until_served(name, &failed).await.is_err() {
                failed.fetch_add(1, Relaxed);
                sleep(PAUSE).await;
            }
        });
    }
    running.join_all().await;
    Ok(Start { failed: failed.load(Relaxed), took_s: began.elapsed().as_secs_f64() })
}

/// Builds the subject once, and repeats its call until it has credentials.
async fn until_served(name: Name, failed: &AtomicU64) -> Result<()> {
    async fn repeat<S: Subject>(subject: S, failed: &AtomicU64) -> Result<()> {
        while subject.call().await.is_err() {
            failed.fetch_add(1, Relaxed);
            sleep(PAUSE).await;
        }
        Ok(())
    }
    with_subject!(name, |s| repeat(s, failed))
}

/// A thousand short-lived clients.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Clients {
    pub(crate) failed: u64,
    pub(crate) took_s: f64,
}

async fn clients(name: Name) -> Result<Clients> {
    async fn once<S: Subject>(subject: S) -> Result<()> {
        subject.call().await.map(drop)
    }
    async fn client(name: Name) -> Result<()> {
        match name {
            // As its documentation says for code that does not know the rest of the program.
            Name::Ours => once(Ours(EksCredentialsProvider::shared()?)).await,
            name => with_subject!(name, once),
        }
    }
    // The program keeps the shared provider. The other crates have nothing of this kind.
    let _kept = EksCredentialsProvider::shared()?;
    let (turns, began) = (Arc::new(Semaphore::new(50)), Instant::now());
    let mut running = JoinSet::new();
    for _ in 0..1000 {
        let turns = Arc::clone(&turns);
        running.spawn(async move {
            let _turn = turns.acquire().await?;
            client(name).await
        });
    }
    let failed = running.join_all().await.into_iter().filter(Result::is_err).count();
    Ok(Clients { failed: u64::try_from(failed)?, took_s: began.elapsed().as_secs_f64() })
}

/// From a time on, a call returned these credentials, or failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// `None` if calls failed.
    pub(crate) access_key_id: Option<String>,
}

/// Every change of the result of a call. A call has 10 s.
async fn watch<S: Subject>(subject: S, length: Duration) -> Result<Vec<Change>> {
    println!("warm");
    std::io::stdout().flush()?;
    let mut changes: Vec<Change> = Vec::new();
    let began = tokio::time::Instant::now();
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while began.elapsed() < length {
        ticks.tick().await;
        let outcome = timeout(Duration::from_secs(10), subject.call()).await;
        let access_key_id = outcome.ok().and_then(Result::ok).map(|returned| returned.access_key_id().to_owned());
        if changes.last().is_none_or(|last| last.access_key_id != access_key_id) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            changes.push(Change { at_ms: u64::try_from(now.as_millis())?, access_key_id });
        }
    }
    Ok(changes)
}
