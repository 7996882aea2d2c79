//! The secrets that remain in the memory of a process after its provider was dropped. This crate leaves no copy. The
//! copies that its dependencies leave are limited to the numbers in this file.
//!
//! Each test starts this program again as a child process, which uses a provider and drops it. The parent process knows
//! the secrets and searches the memory of the child for them. The child gets the secrets only from its sources.
#![cfg(all(target_os = "linux", feature = "irsa", feature = "pod-identity", feature = "__tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Answer, Issued, LocalPod, ProjectedToken, StandIn};
use support::ca::{Ca, named};
use support::{with, without};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

const FETCHES: u64 = 3;

type Env = Vec<(String, String)>;

/// Runs without a subscriber, because formatting log events could overwrite copies of secrets.
#[tokio::test]
#[ignore = "the other tests run it as a child process"]
async fn child() {
    let provider = EksCredentialsProvider::builder().runtime(Handle::current()).build().unwrap();
    while next_line() == "fetch" {
        if let Some(cached) = provider.cached() {
            provider.invalidate(&cached);
        }
        let credentials = provider.credentials().await.unwrap();
        // One task is the refresh task. A connection is also a task, and ends a moment after its response.
        settled(1).await;
        println!("\nhas {}", credentials.access_key_id());
    }
    drop(provider);
    settled(0).await;
    println!("\ndropped");
    next_line();
}

async fn settled(tasks: usize) {
    while Handle::current().metrics().num_alive_tasks() > tasks {
        tokio::task::yield_now().await;
    }
}

fn next_line() -> String {
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

struct Child {
    process: tokio::process::Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Child {
    fn start(env: &Env) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child", "--exact", "--ignored", "--nocapture"]).env_clear().envs(env.iter().cloned());
        let mut process = command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, stdin, stdout }
    }

    async fn send(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for a line that begins with `prefix`, and returns the rest of it.
    async fn receive(&mut self, prefix: &str) -> String {
        loop {
            let line = self.stdout.next_line().await.unwrap().expect("the child has ended");
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// All writable memory: heaps, stacks and statics.
    fn memory(&self) -> Vec<Vec<u8>> {
        let process = format!("/proc/{}", self.process.id().unwrap());
        let maps = fs::read_to_string(format!("{process}/maps")).unwrap();
        let memory = File::open(format!("{process}/mem")).unwrap();
        let writable = maps.lines().filter_map(|map| map.split_once(" rw")).map(|(range, _)| range);
        let read = |range: &str| {
            let (begin, end) = range.split_once('-').unwrap();
            let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
            // A part may have been unmapped since.
            memory.read_exact_at(&mut bytes, begin).ok().map(|()| bytes)
        };
        writable.filter_map(read).collect()
    }
}

/// How often a secret was found in memory.
#[derive(Debug, Default)]
struct Found {
    /// As part of an HTTP message, in the buffer of a dependency.
    on_the_wire: usize,
    /// Outside an HTTP message.
    alone: usize,
}

/// A secret, and the texts before and after it in the messages of both protocols.
struct Secret {
    text: String,
    /// The length of the part that all tokens have in common, which is everything except the signature.
    common: usize,
    before: &'static [&'static str],
    after: &'static [&'static str],
}

impl Secret {
    fn token(token: &ProjectedToken) -> Self {
        let text = fs::read_to_string(token.path()).unwrap();
        let common = text.rfind('.').unwrap();
        Self { text, common, before: &["WebIdentityToken=", "authorization: "], after: &["\r\n"] }
    }

    fn of(Issued { secret_access_key, session_token, .. }: Issued) -> [Self; 2] {
        [
            Self {
                text: secret_access_key,
                common: 0,
                before: &["<SecretAccessKey>", r#""SecretAccessKey":""#],
                after: &["</SecretAccessKey>", "\""],
            },
            Self {
                text: session_token,
                common: 0,
                before: &["<SessionToken>", r#""Token":""#],
                after: &["</SessionToken>", "\""],
            },
        ]
    }

    /// Searches for each half of the secret, because freed memory can be partly overwritten.
    fn search(&self, memory: &[Vec<u8>]) -> Found {
        let own = &self.text[self.common..];
        let (front, back) = own.split_at(own.len() / 2);
        let halves = [(front, self.common), (back, self.common + front.len())];
        let mut found = Found::default();
        for part in memory {
            // Where the whole secret begins, or would begin.
            let begins = halves.map(|(half, offset)| positions(part, half).map(move |at| at.saturating_sub(offset)));
            for begin in begins.into_iter().flatten().collect::<BTreeSet<_>>() {
                let (before, after) = (&part[..begin], part.get(begin + self.text.len()..).unwrap_or_default());
                let on_the_wire = self.before.iter().any(|text| before.ends_with(text.as_bytes()))
                    || self.after.iter().any(|text| after.starts_with(text.as_bytes()));
                *(if on_the_wire { &mut found.on_the_wire } else { &mut found.alone }) += 1;
            }
        }
        found
    }

    fn assert(&self, what: &str, memory: &[Vec<u8>], on_the_wire: usize, alone: usize) {
        let found = self.search(memory);
        assert!(found.on_the_wire <= on_the_wire && found.alone <= alone, "{what}: {found:?}");
    }
}

fn positions(memory: &[u8], wanted: &str) -> impl Iterator<Item = usize> {
    memory.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted.as_bytes()).map(|(at, _)| at)
}

/// The largest number of copies of each secret. Copies in HTTP messages were left by dependencies, and remain until the
/// memory is used again. The comments on the tests name these dependencies.
struct Allowed {
    /// Copies of the token while its request waits for a response.
    waiting: usize,
    /// Copies of the token in requests that have ended. The first token was sent in two requests.
    sent: usize,
    /// Copies of the secret key, and of the session token, in a response.
    answered: usize,
    /// Other copies of the token, before and after the provider is dropped.
    kept: [usize; 2],
}

struct Case {
    pod: LocalPod,
    env: Env,
    allowed: Allowed,
    stand_in: fn(&LocalPod) -> &StandIn,
    token: fn(&LocalPod) -> &ProjectedToken,
}

impl Case {
    /// Runs a request that fails, a request that waits until the memory was searched, more requests, and the drop of
    /// the provider.
    async fn run(&self) {
        let Self { pod, env, allowed, .. } = self;
        let (stand_in, token) = ((self.stand_in)(pod), (self.token)(pod));
        let mut child = Child::start(env);
        let mut tokens = vec![Secret::token(token)];
        let gate = Arc::new(Semaphore::new(0));
        let closed = Arc::clone(&gate);
        stand_in.then(Answer::http(503, "busy")).issue_with(move || {
            let gate = Arc::clone(&closed);
            async move {
                let _ = gate.acquire().await;
                Ok(Issued::random(Duration::from_secs(3600)))
            }
        });
        child.send("fetch").await;
        self.check_waiting_request(&child, &tokens[0]).await;
        gate.close();
        let mut issued = Vec::new();
        for fetch in 0..FETCHES {
            if fetch > 0 {
                token.rotate().unwrap();
                tokens.push(Secret::token(token));
                // With the same lifetime the stand-in of the agent would return the same credentials.
                stand_in.set_lifetime(Duration::from_secs(3600 + fetch));
                child.send("fetch").await;
            }
            let access_key_id = child.receive("has ").await;
            let memory = child.memory();
            tokens[0].assert("a token", &memory, allowed.sent, allowed.kept[0]);
            tokens[tokens.len() - 1].assert("a token", &memory, allowed.sent, allowed.kept[0]);
            let secrets = Secret::of(pod.ledger().get(&access_key_id).unwrap());
            for secret in &secrets {
                assert_eq!(
                    secret.search(&memory).alone,
                    1,
                    "the current credentials are in memory once, after fetch {fetch}"
                );
            }
            issued.extend(secrets);
        }
        child.send("drop").await;
        child.receive("dropped").await;
        let memory = child.memory();
        for token in &tokens {
            token.assert("a token after the provider was dropped", &memory, allowed.sent, allowed.kept[1]);
        }
        for secret in &issued {
            secret.assert("a secret after the provider was dropped", &memory, allowed.answered, 0);
        }
    }

    /// Searches the memory while a request waits. This also shows that the search finds a token that is in memory.
    async fn check_waiting_request(&self, child: &Child, token: &Secret) {
        while (self.stand_in)(&self.pod).requests() < 2 {
            tokio::task::yield_now().await;
        }
        let waits = async {
            loop {
                // The server can have the request before the client has released its buffer.
                let found = token.search(&child.memory());
                if found.alone > 0 && found.on_the_wire <= self.allowed.waiting {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let waits = timeout(Duration::from_secs(10), waits).await;
        assert!(waits.is_ok(), "while a request waits: {:?}", token.search(&child.memory()));
    }
}

async fn irsa(allowed: Allowed) -> Case {
    let pod = LocalPod::start().await.unwrap();
    Case { env: pod.irsa_env(), pod, allowed, stand_in: LocalPod::sts, token: LocalPod::irsa_token }
}

async fn pod_identity(allowed: Allowed) -> Case {
    let pod = LocalPod::start().await.unwrap();
    Case { env: pod.pod_identity_env(), pod, allowed, stand_in: LocalPod::agent, token: LocalPod::agent_token }
}

/// The copy of each response is in the read buffer of hyper.
#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_one_copy_of_each_irsa_response_over_http() {
    irsa(Allowed { waiting: 0, sent: 0, answered: 1, kept: [0, 0] }).await.run().await;
}

/// The copies of each response are in two buffers of rustls, for decrypted data and for its output, and in one of
/// hyper.
#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_three_copies_of_each_irsa_response_over_https() {
    let case = irsa(Allowed { waiting: 1, sent: 0, answered: 3, kept: [0, 0] }).await;
    let ca = Ca::new();
    let (sts, bundle) = (ca.in_front_of(case.pod.sts().address(), named("localhost")).await, ca.bundle());
    let env = with(case.env.clone(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    let env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
    Case { env, ..case }.run().await;
}

/// The copies of the tokens are in the heads of the requests, in the write buffer of hyper.
#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_each_pod_identity_head_and_response_once() {
    pod_identity(Allowed { waiting: 2, sent: 2, answered: 1, kept: [0, 0] }).await.run().await;
}

/// The provider has the token in its snapshot of the environment and in the value of the header that it sends.
#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_an_environment_token_only_where_documented() {
    let case = pod_identity(Allowed { waiting: 2, sent: 4, answered: 1, kept: [3, 1] }).await;
    let token = fs::read_to_string(case.pod.agent_token().path()).unwrap();
    let env = without(case.env.clone(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    Case { env: with(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN", &token), ..case }.run().await;
}
