//! The measured processes. Each is started with the environment of a pod, calls one subject, and prints one line of JSON.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

use crate::scenario::clients;
use crate::subject::{Name, Subject, with_builder, with_subject};

/// Calls that take longer are counted like failures, because users notice them.
const NOTICED: Duration = Duration::from_millis(100);
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
    /// Lists buckets as fast as possible, across refreshes, with the credentials of the subject.
    S3 { client: crate::scenario::s3::Client, seconds: u64 },
    /// Fifty clients start while STS throttles.
    Throttled { subject: Name },
    /// A thousand clients one after the other.
    Clients { wiring: clients::Wiring },
    /// Calls during an outage that outlives the credentials, and after it.
    LongOutage { subject: Name },
    /// Calls with a refused token, and after its file was replaced.
    Rotation { subject: Name },
}

impl Child {
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Paced { subject, seconds } => vec!["paced".into(), named(subject), seconds.to_string()],
            Self::Impatient { subject } => vec!["impatient".into(), named(subject)],
            Self::Stampede { subject } => vec!["stampede".into(), named(subject)],
            Self::Warm => vec!["warm".into()],
            Self::S3 { client, seconds } => vec!["s3".into(), named(client), seconds.to_string()],
            Self::Throttled { subject } => vec!["throttled".into(), named(subject)],
            Self::Clients { wiring } => vec!["clients".into(), named(wiring)],
            Self::LongOutage { subject } => vec!["long-outage".into(), named(subject)],
            Self::Rotation { subject } => vec!["rotation".into(), named(subject)],
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
            Self::S3 { client, seconds } => {
                serde_json::to_string(&crate::scenario::s3::measure(client, Duration::from_secs(seconds)).await?)
            }
            Self::Throttled { subject } => {
                serde_json::to_string(&with_builder!(subject, crate::scenario::throttled::measure)?)
            }
            Self::Clients { wiring } => serde_json::to_string(&clients::measure(wiring).await?),
            Self::LongOutage { subject } => {
                serde_json::to_string(&with_subject!(subject, crate::scenario::long_outage::measure)?)
            }
            Self::Rotation { subject } => {
                serde_json::to_string(&with_builder!(subject, crate::scenario::rotation::measure)?)
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

/// Tells the parent process that it may inject faults.
pub(crate) fn announce() -> Result<()> {
    println!("warm");
    Ok(std::io::stdout().flush()?)
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
    announce()?;
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
        let waits = slice(*at)..=slice(*at + *took);
        for (noticed, slowest_ms) in noticed[waits.clone()].iter_mut().zip(&mut paced.slowest_ms[waits]) {
            *noticed |= bad;
            *slowest_ms = slowest_ms.max(took.as_secs_f64() * 1e3);
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
