//! What a provider leaves of its secrets in the memory of its process: of what this crate holds nothing, of what its
//! dependencies do no more than is written down here.
//!
//! Each case is a child, this same program, that uses a provider and drops it when it is told to. Its parent knows the
//! secrets and searches its memory for them; the child itself learns them from its sources alone.
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

/// Without a log: what formats it would overwrite what is to be found.
#[tokio::test]
#[ignore = "run by the others here, as a process of its own, whose memory they search"]
async fn child() {
    let provider = EksCredentialsProvider::builder().runtime(Handle::current()).build().unwrap();
    while next_line() == "fetch" {
        if let Some(held) = provider.cached() {
            provider.invalidate(&held);
        }
        let credentials = provider.credentials().await.unwrap();
        // The driver's task: connections are tasks too, and end a moment after their answer.
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

    async fn tell(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// What follows `beginning` in its next such line.
    async fn hear(&mut self, beginning: &str) -> String {
        loop {
            let line = self.stdout.next_line().await.unwrap().expect("the child lives");
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// All that it could have written to: heaps, stacks, statics.
    fn memory(&self) -> Vec<Vec<u8>> {
        let process = format!("/proc/{}", self.process.id().unwrap());
        let maps = fs::read_to_string(format!("{process}/maps")).unwrap();
        let memory = File::open(format!("{process}/mem")).unwrap();
        let writable = maps.lines().filter_map(|map| map.split_once(" rw")).map(|(range, _)| range);
        let read = |range: &str| {
            let (begin, end) = range.split_once('-').unwrap();
            let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
            // A part may be gone since.
            memory.read_exact_at(&mut bytes, begin).ok().map(|()| bytes)
        };
        writable.filter_map(read).collect()
    }
}

/// How often a secret is in memory.
#[derive(Debug, Default)]
struct Found {
    /// As part of a message as it was on the wire: in the buffers of those who write and read it.
    on_the_wire: usize,
    /// Any other.
    alone: usize,
}

/// A secret, and what stands before and after it in the messages of both protocols.
struct Secret {
    text: String,
    /// Tokens have all but their signature in common.
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

    /// By either half: memory that was freed is overwritten bit by bit.
    fn search(&self, memory: &[Vec<u8>]) -> Found {
        let own = &self.text[self.common..];
        let (front, back) = own.split_at(own.len() / 2);
        let halves = [(front, self.common), (back, self.common + front.len())];
        let mut found = Found::default();
        for part in memory {
            // Where it begins, or would begin if it were whole.
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

/// What may be found of each secret, at most. What is on the wire was left by dependencies, and stays until the memory is
/// used again; the docs say whose it is.
struct Allowed {
    /// Of the token while its request waits for an answer.
    waiting: usize,
    /// Of the token in requests that are over; there are two with the first one.
    sent: usize,
    /// Of the key and of the session token in an answer.
    answered: usize,
    /// Of the token while the provider lives, and after it.
    kept: [usize; 2],
}

struct Case {
    pod: LocalPod,
    env: Env,
    allowed: Allowed,
    upstream: fn(&LocalPod) -> &StandIn,
    token: fn(&LocalPod) -> &ProjectedToken,
}

impl Case {
    /// A request that fails, one that waits until it has been seen, some more, and the end.
    async fn run(&self) {
        let Self { pod, env, allowed, .. } = self;
        let (upstream, token) = ((self.upstream)(pod), (self.token)(pod));
        let mut child = Child::start(env);
        let mut tokens = vec![Secret::token(token)];
        let gate = Arc::new(Semaphore::new(0));
        let closed = Arc::clone(&gate);
        upstream.then(Answer::http(503, "busy")).issue_with(move || {
            let gate = Arc::clone(&closed);
            async move {
                let _ = gate.acquire().await;
                Ok(Issued::random(Duration::from_secs(3600)))
            }
        });
        child.tell("fetch").await;
        self.see_a_request_wait(&child, &tokens[0]).await;
        gate.close();
        let mut issued = Vec::new();
        for fetch in 0..FETCHES {
            if fetch > 0 {
                token.rotate().unwrap();
                tokens.push(Secret::token(token));
                // An agent would hand the same ones out.
                upstream.set_lifetime(Duration::from_secs(3600 + fetch));
                child.tell("fetch").await;
            }
            let access_key_id = child.hear("has ").await;
            let memory = child.memory();
            tokens[0].assert("a token", &memory, allowed.sent, allowed.kept[0]);
            tokens[tokens.len() - 1].assert("a token", &memory, allowed.sent, allowed.kept[0]);
            let secrets = Secret::of(pod.ledger().get(&access_key_id).unwrap());
            for secret in &secrets {
                assert_eq!(secret.search(&memory).alone, 1, "what the provider serves is in memory once: {fetch}");
            }
            issued.extend(secrets);
        }
        child.tell("drop").await;
        child.hear("dropped").await;
        let memory = child.memory();
        for token in &tokens {
            token.assert("a token after the drop", &memory, allowed.sent, allowed.kept[1]);
        }
        for secret in &issued {
            secret.assert("a secret after the drop", &memory, allowed.answered, 0);
        }
    }

    /// Also the proof that a token that is there is found.
    async fn see_a_request_wait(&self, child: &Child, token: &Secret) {
        while (self.upstream)(&self.pod).requests() < 2 {
            tokio::task::yield_now().await;
        }
        let waits = async {
            loop {
                // It may have arrived before the client has let go of it.
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
    Case { env: pod.irsa_env(), pod, allowed, upstream: LocalPod::sts, token: LocalPod::irsa_token }
}

async fn pod_identity(allowed: Allowed) -> Case {
    let pod = LocalPod::start().await.unwrap();
    Case { env: pod.pod_identity_env(), pod, allowed, upstream: LocalPod::agent, token: LocalPod::agent_token }
}

/// The answers: hyper's read buffer.
#[tokio::test(flavor = "multi_thread")]
async fn irsa_over_plain_http_leaves_each_answer_once() {
    irsa(Allowed { waiting: 0, sent: 0, answered: 1, kept: [0, 0] }).await.run().await;
}

/// The answers: rustls's buffers, of what it has decrypted and of what it hands on, and hyper's.
#[tokio::test(flavor = "multi_thread")]
async fn irsa_over_https_leaves_each_answer_three_times() {
    let case = irsa(Allowed { waiting: 1, sent: 0, answered: 3, kept: [0, 0] }).await;
    let ca = Ca::new();
    let (sts, bundle) = (ca.in_front_of(case.pod.sts().address(), named("localhost")).await, ca.bundle());
    let env = with(case.env.clone(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    let env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
    Case { env, ..case }.run().await;
}

/// The tokens: the head of each request, in hyper's write buffer.
#[tokio::test(flavor = "multi_thread")]
async fn pod_identity_leaves_the_head_of_each_request_and_each_answer_once() {
    pod_identity(Allowed { waiting: 2, sent: 2, answered: 1, kept: [0, 0] }).await.run().await;
}

/// The provider has the token in its snapshot of the environment and ready to be sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_environment_stays_there_and_nowhere_else() {
    let case = pod_identity(Allowed { waiting: 2, sent: 4, answered: 1, kept: [3, 1] }).await;
    let token = fs::read_to_string(case.pod.agent_token().path()).unwrap();
    let env = without(case.env.clone(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    Case { env: with(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN", &token), ..case }.run().await;
}
