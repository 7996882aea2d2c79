//! One cell of the matrix: a provider in one state and a source with one fault.

use std::error::Error as _;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_async::test_util::ManualTimeSource;
use eks_credentials::testing::LocalPod;
use eks_credentials::{EksCredentialsProvider, Error, Health, SourceKind};

use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use crate::rows::{self, Expect, Row, Verdict};
use crate::server::Server;
use crate::support;
use crate::support::ca::{Ca, named};

/// 2030-01-01T00:00:00Z.
const NEW_YEAR: Duration = Duration::from_secs(1_893_456_000);
/// The first credentials are valid for an hour. The last fifteen minutes are the advisory window. A refresh is due in
/// the first half of this window.
const DUE: Duration = Duration::from_secs(55 * 60);
const EXPIRED: Duration = Duration::from_secs(61 * 60);
const FRESH_EXPIRY: Duration = Duration::from_secs(6 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// Nothing has been fetched yet.
    Cold,
    /// The current credentials are still valid, and a refresh is due.
    Usable,
    /// The current credentials have expired.
    Expired,
    /// Nothing has been fetched yet. The fallback is enabled, and the other source works.
    Fallback,
}

/// The parts that all cells share.
pub(crate) struct World {
    pod: LocalPod,
    tls: TlsAcceptor,
    ca_bundle: NamedTempFile,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (pod, ca) = (LocalPod::start().await.unwrap(), Ca::new());
        for token in [pod.irsa_token(), pod.agent_token()] {
            std::fs::read_to_string(token.path()).unwrap().split('.').for_each(support::keep_secret);
        }
        [rows::SECRET_KEY, rows::SESSION_TOKEN].into_iter().for_each(support::keep_secret);
        Self { tls: ca.acceptor(named("127.0.0.1")), ca_bundle: ca.bundle(), pod }
    }
}

/// The outcome of one cell.
pub(crate) struct Outcome {
    /// What the caller got, the number of attempts, and the health afterwards.
    pub(crate) line: String,
    /// The error message, without parts that differ between runs. `None` if there was no error to check.
    pub(crate) message: Option<String>,
}

struct Cell {
    server: Server,
    provider: EksCredentialsProvider,
    /// The credentials that the provider had before the fault.
    held: Option<Credentials>,
}

/// Panics if the outcome is not the one that the row expects.
pub(crate) async fn run(row: &Row, state: State, world: &World) -> Outcome {
    let (cell, printed) = Cell::before_the_fault(row, state, world).await;
    let (got, error) = cell.call(row, state).await;
    assert_eq!(cell.server.unexpected(), Vec::<String>::new(), "unexpected");
    let status = cell.provider.status();
    for text in [printed, print(&cell, error.as_ref())] {
        assert_eq!(support::leaked(&text), None, "a secret in {text}");
    }
    let attempts = cell.attempts(row, state);
    let message = match row.expect {
        Expect::Fails { verdict, .. } if state == State::Fallback && verdict.falls_back => {
            assert_eq!(got, Got::Other);
            None
        }
        Expect::Fails { kind, verdict, code, cause, remedy } => {
            let error = error.expect("an error");
            let found = (error.kind(), error.is_transient(), error.code());
            assert_eq!(found, (kind, verdict.serves_expired, code), "{error}");
            assert_eq!(got, expected(&cell, state, verdict, &error));
            let message = error.to_string();
            for (part, what) in [(cause, "cause"), (remedy, "remedy")] {
                assert!(message.contains(part), "the message lacks the {what} {part:?}: {message}");
            }
            Some(masked(&message, &cell))
        }
        Expect::Fresh | Expect::NeverExpires => {
            assert!(error.is_none(), "{error:?}");
            assert_eq!(got, if state == State::Usable { Got::Held } else { Got::Fresh });
            assert_fresh(row.expect, &cell);
            None
        }
    };
    let health = match got {
        Got::Other => Health::Ready,
        _ => expected_health(row.expect, state),
    };
    assert_eq!(status.health, health);
    let got = match got {
        Got::Held if state == State::Usable => "the current credentials, at once",
        Got::Held => "the expired credentials",
        Got::Fresh => "fresh credentials",
        Got::Other => "credentials of the other source",
        Got::Error(_) => "the error",
    };
    Outcome { line: format!("{got}; {attempts}; {health:?}"), message }
}

/// What a caller got.
#[derive(Debug, PartialEq)]
enum Got {
    Held,
    Fresh,
    /// From the other source.
    Other,
    Error(String),
}

impl Cell {
    /// The provider in its state, and its `Debug` output so far.
    async fn before_the_fault(row: &Row, state: State, world: &World) -> (Self, String) {
        let mut server = Server::start(row.source, row.tls.then(|| world.tls.clone()), rows::first(row.source)).await;
        let clock = ManualTimeSource::new(SystemTime::UNIX_EPOCH + NEW_YEAR);
        let mut builder = support::builder(env(row, &server, world, state));
        if state == State::Fallback {
            builder = builder.prefer(row.source).fallback(true);
        }
        // The stand-in for the other source uses the clock of the system.
        let other_serves = matches!(row.expect, Expect::Fails { verdict, .. } if verdict.falls_back);
        if state != State::Fallback || !other_serves {
            builder = builder.time_source(clock.clone());
        }
        if matches!(state, State::Cold | State::Fallback) {
            builder = builder.startup_timeout(row.startup_timeout);
        }
        if let Some(limit) = row.attempt_timeout {
            builder = builder.attempt_timeout(limit);
        }
        let mut printed = format!("{builder:?} {builder:#?}");
        let provider = builder.build().unwrap();
        let mut held = None;
        if !matches!(state, State::Cold | State::Fallback) {
            held = Some(provider.credentials().await.unwrap());
            printed += &format!("{held:?} {held:#?} {provider:?}");
            clock.advance(if state == State::Usable { DUE } else { EXPIRED });
        }
        server.answer(row.fault.clone()).await;
        (Self { server, provider, held }, printed)
    }

    /// Calls the provider once, and waits until the refresh that the call starts has ended.
    async fn call(&self, row: &Row, state: State) -> (Got, Option<Error>) {
        let mut changes = self.provider.subscribe();
        let mut call = tokio_test::task::spawn(self.provider.credentials());
        let got = match (state, call.poll()) {
            (State::Usable, Poll::Ready(got)) => got,
            (State::Usable, Poll::Pending) => panic!("a caller with usable credentials waits"),
            (_, Poll::Ready(got)) => got,
            (_, Poll::Pending) => call.await,
        };
        let refreshes = u64::from(self.held.is_some());
        let status = changes.wait_for(|s| s.consecutive_failures > 0 || s.refreshes > refreshes).await.unwrap().clone();
        let error = status.last_error;
        if matches!(state, State::Cold | State::Fallback)
            && let Err(got) = &got
        {
            assert_eq!(Some(got.to_string()), error.as_ref().map(Error::to_string), "Status and caller disagree");
        }
        let got = match got {
            Ok(credentials) if Some(&credentials) == self.held.as_ref() => Got::Held,
            Ok(_) if state == State::Fallback && status.source != Some(row.source) => Got::Other,
            Ok(credentials) => {
                assert_eq!(credentials.access_key_id(), "ASIALOCALFRESH", "{}", row.name);
                Got::Fresh
            }
            Err(error) => Got::Error(error.to_string()),
        };
        (got, error)
    }

    /// Checks the number of attempts: one, except for the failures that a cold start retries.
    fn attempts(&self, row: &Row, state: State) -> &'static str {
        let retried = match (row.expect, state) {
            (Expect::Fails { verdict, .. }, State::Cold) => verdict.retries_cold_start,
            (Expect::Fails { verdict, .. }, State::Fallback) => verdict.retries_cold_start && !verdict.falls_back,
            _ => false,
        };
        match (self.server.requests(), retried) {
            (None, _) => "attempts not counted",
            (Some(requests), true) => {
                assert!(requests >= 2, "{requests} attempts of a cold start");
                "retried within the startup timeout"
            }
            (Some(requests), false) => {
                assert_eq!(requests, 1, "attempts");
                "1 attempt"
            }
        }
    }
}

/// The environment of the pod, with the server instead of STS or the agent.
fn env(row: &Row, server: &Server, World { pod, ca_bundle, .. }: &World, state: State) -> Vec<(String, String)> {
    let both = (state == State::Fallback).then(|| pod.both_env());
    let url = format!("{}://{}", if row.tls { "https" } else { "http" }, server.address);
    match row.source {
        SourceKind::WebIdentity => {
            let env = support::with(
                both.unwrap_or_else(|| pod.irsa_env()),
                "AWS_CA_BUNDLE",
                ca_bundle.path().to_str().unwrap(),
            );
            support::with(env, "AWS_ENDPOINT_URL_STS", &url)
        }
        _ => {
            let url = format!("{url}/v1/credentials");
            let env = both.unwrap_or_else(|| pod.pod_identity_env());
            support::with(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)
        }
    }
}

/// Valid credentials are served after every failure, and expired credentials only after transient failures.
fn expected(cell: &Cell, state: State, verdict: Verdict, error: &Error) -> Got {
    match state {
        State::Usable => Got::Held,
        State::Expired if verdict.serves_expired => Got::Held,
        State::Expired | State::Cold | State::Fallback => {
            assert_eq!(cell.provider.cached(), None);
            Got::Error(error.to_string())
        }
    }
}

fn expected_health(expect: Expect, state: State) -> Health {
    match (expect, state) {
        (Expect::Fresh | Expect::NeverExpires, _) => Health::Ready,
        (_, State::Cold | State::Fallback) => Health::Failed,
        (_, State::Usable) => Health::Degraded,
        (_, State::Expired) => Health::Expired,
    }
}

fn assert_fresh(expect: Expect, cell: &Cell) {
    let now = cell.provider.cached().expect("fresh credentials");
    let expiry = matches!(expect, Expect::Fresh).then(|| SystemTime::UNIX_EPOCH + NEW_YEAR + FRESH_EXPIRY);
    assert_eq!((now.access_key_id(), now.expiry()), ("ASIALOCALFRESH", expiry));
    assert_eq!(now.secret_access_key(), rows::SECRET_KEY);
    assert_eq!(now.session_token(), Some(rows::SESSION_TOKEN));
}

/// All `Display` and `Debug` output that a program can get.
fn print(cell: &Cell, error: Option<&Error>) -> String {
    let Cell { provider, held, .. } = cell;
    let status = provider.status();
    let mut text = format!("{provider:?} {provider:#?} {status:?} {status:#?} {:?}", provider.subscribe());
    text += &format!("{:?} {:#?} {held:?} {:?}", provider.cached(), provider.cached(), provider.provide_credentials());
    text += &status.source.map(|source| source.to_string()).unwrap_or_default();
    #[cfg(feature = "sdk-config")]
    {
        let config = provider.sdk_config(eks_credentials::BehaviorVersion::latest());
        text += &format!("{:?} {config:?}", provider.identity_cache());
        text += &format!("{:#?}", config.build());
    }
    if let Some(error) = error {
        let sdk = CredentialsError::from(error.clone());
        text += &format!("{} {error:?} {error:#?} {sdk} {sdk:?} {sdk:#?}", support::whole(error));
        let mut cause = error.source();
        while let Some(because) = cause {
            text += &format!("{because:?} {because:#?}");
            cause = because.source();
        }
    }
    text
}

/// The message, with placeholders for parts that differ between runs and between states.
fn masked(message: &str, cell: &Cell) -> String {
    let message = message.replace(&cell.server.address.to_string(), "<address>");
    let message = mask(message, "did not respond within ", |c| c != ';', "<time>");
    let message = mask(message, " exp=", |c| !";, ".contains(c), "<date>");
    mask(message, "(the local time is ", |c| c != ')', "<date>")
}

/// `text`, with `name` instead of the characters after `after` for which `of` returns true.
fn mask(text: String, after: &str, of: impl Fn(char) -> bool, name: &str) -> String {
    match text.split_once(after) {
        Some((before, rest)) => format!("{before}{after}{name}{}", rest.trim_start_matches(of)),
        None => text,
    }
}
