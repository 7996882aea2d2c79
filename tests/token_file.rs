//! The projected token on a real disk: swapped under load, late, missing, unreadable, or not a token at all.
#![cfg(all(unix, feature = "irsa"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use eks_credentials::testing::{LocalPod, Signing};
use eks_credentials::{EksCredentialsProvider, Error, ErrorKind};
use support::{Recorder, builder, http, millis, provider, whole, with};
use tempfile::TempDir;
use tokio::time::{self, Instant};

const ROTATIONS: u32 = 10_000;

/// A pod whose token is at `path`, where the test puts what it likes.
struct Bench {
    pod: LocalPod,
    folder: TempDir,
    path: PathBuf,
}

impl Bench {
    async fn start() -> Self {
        support::trace();
        let folder = tempfile::tempdir().unwrap();
        Self { pod: LocalPod::start().await.unwrap(), path: folder.path().join("token"), folder }
    }

    fn env(&self) -> Vec<(String, String)> {
        with(self.pod.irsa_env(), "AWS_WEB_IDENTITY_TOKEN_FILE", self.path.to_str().unwrap())
    }

    fn good_token(&self) -> String {
        fs::read_to_string(self.pod.irsa_token().path()).unwrap()
    }

    /// Why there are none: permanent, of the file, named, and STS is not asked.
    async fn refusal(&self) -> String {
        let error: Error = provider(self.env()).credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TokenFile, "{}", whole(&error));
        assert!(error.to_string().contains(self.path.to_str().unwrap()), "{error}");
        assert_eq!(self.pod.sts().requests(), 0);
        error.to_string()
    }

    fn make_fifo(&self, path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
}

/// What STS was sent as the token.
fn sent(request: &str) -> String {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let mut form = form_urlencoded::parse(body.as_bytes());
    form.find(|(name, _)| name == "WebIdentityToken").unwrap().1.into_owned()
}

/// An STS that answers everything, so that a wrong token is not hidden by a refusal and a second attempt.
async fn undemanding_sts() -> Recorder {
    let answer = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                  <AccessKeyId>ASIALOCALA</AccessKeyId><SecretAccessKey>local-secret-a</SecretAccessKey>\
                  <SessionToken>local-session-a</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                  </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    Recorder::start(http(200, "text/xml", answer)).await
}

fn at(sts: &Recorder, env: Vec<(String, String)>) -> Vec<(String, String)> {
    with(env, "AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address))
}

/// kubelet swaps as fast as it can while providers start up one after the other.
#[tokio::test]
async fn ten_thousand_swaps_and_every_fetch_sends_a_whole_token_no_older_than_itself() {
    support::trace();
    let pod = Arc::new(LocalPod::builder().signing(Signing::Es256).start().await.unwrap());
    let sts = undemanding_sts().await;
    let swapped = Arc::new(AtomicU32::new(0));
    let kubelet = std::thread::spawn({
        let (pod, swapped) = (Arc::clone(&pod), Arc::clone(&swapped));
        move || {
            let current = || fs::read_to_string(pod.irsa_token().path()).unwrap();
            let mut written = HashMap::from([(current(), 0)]);
            for n in 1..=ROTATIONS {
                pod.irsa_token().rotate().unwrap();
                written.insert(current(), n);
                swapped.store(n, SeqCst);
            }
            written
        }
    });
    let mut oldest_allowed = Vec::new();
    while !kubelet.is_finished() {
        oldest_allowed.push(swapped.load(SeqCst));
        provider(at(&sts, pod.irsa_env())).credentials().await.unwrap_or_else(|e| panic!("{}", whole(&e)));
    }
    let written = kubelet.join().unwrap();
    assert_eq!(written.len(), 1 + ROTATIONS as usize, "every token is another one");
    let requests = sts.requests();
    assert_eq!(requests.len(), oldest_allowed.len(), "no fetch took two attempts");
    for (request, oldest_allowed) in requests.iter().zip(oldest_allowed) {
        let n = written.get(&sent(request)).expect("a token that was never written: torn");
        assert!(*n >= oldest_allowed, "token {n} was sent when {oldest_allowed} had been in place");
    }
    println!("{} fetches during {ROTATIONS} swaps", requests.len());
    assert!(requests.len() > 50, "{} fetches prove little", requests.len());
}

/// Whose time can be paused.
fn on_this_runtime(bench: &Bench) -> EksCredentialsProvider {
    builder(bench.env()).runtime(tokio::runtime::Handle::current()).build().unwrap()
}

/// Five reads, 50 ms apart. In virtual time until the file is there, because loopback sockets are in real time.
#[tokio::test]
async fn a_gap_shorter_than_the_retries_is_bridged_and_a_longer_one_is_an_error() {
    let bench = Bench::start().await;
    for gap in [25, 75, 125, 175] {
        let _ = fs::remove_file(&bench.path);
        let provider = on_this_runtime(&bench);
        time::pause();
        let mut ask = tokio_test::task::spawn(provider.credentials());
        tokio_test::assert_pending!(ask.poll());
        time::sleep(millis(gap)).await;
        fs::write(&bench.path, bench.good_token()).unwrap();
        time::resume();
        ask.await.unwrap_or_else(|e| panic!("a gap of {gap} ms: {}", whole(&e)));
    }
    let provider = on_this_runtime(&bench);
    fs::remove_file(&bench.path).unwrap();
    time::pause();
    let began = Instant::now();
    let error = provider.credentials().await.unwrap_err();
    assert!((millis(200)..millis(225)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::TokenFile);
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn a_path_that_leads_to_no_file_says_what_it_leads_to() {
    let mut bench = Bench::start().await;
    assert!(bench.refusal().await.contains("does not exist"));
    symlink("nowhere", &bench.path).unwrap();
    assert!(bench.refusal().await.contains("does not exist"));
    fs::remove_file(&bench.path).unwrap();
    fs::create_dir(&bench.path).unwrap();
    assert!(bench.refusal().await.contains("not a regular file"));
    fs::remove_dir(&bench.path).unwrap();
    fs::write(&bench.path, "file").unwrap();
    bench.path = bench.path.join("token");
    assert!(bench.refusal().await.contains("is a file and not a directory"));
}

/// Nothing that waiting mends: once taken for a fault of the volume, and tried for the whole startup time.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_symlink_that_leads_to_itself_is_refused_at_once() {
    let bench = Bench::start().await;
    symlink("token", &bench.path).unwrap();
    assert!(bench.refusal().await.contains("a loop of symbolic links"));
    let other = bench.folder.path().join("other");
    fs::remove_file(&bench.path).unwrap();
    symlink("other", &bench.path).unwrap();
    symlink("token", other).unwrap();
    assert!(bench.refusal().await.contains("a loop of symbolic links"));
}

#[tokio::test]
async fn contents_that_are_no_token_are_refused_unsent() {
    let bench = Bench::start().await;
    let good = bench.good_token();
    let (head, tail) = good.split_at(good.len() / 2);
    let cases: [(Vec<u8>, &str); 12] = [
        (Vec::new(), "is empty"),
        (b" \r\n\n".to_vec(), "is empty"),
        ([head, "\n", tail].concat().into_bytes(), "line break"),
        ([head, "\r", tail].concat().into_bytes(), "line break"),
        ([head, "\0", tail].concat().into_bytes(), "line break, a control"),
        ([head, "é", tail].concat().into_bytes(), "not ASCII"),
        // A line of a log, behind the token.
        ([good.as_str(), " 2026-11-24T10:00:00Z rotated"].concat().into_bytes(), "followed by other text"),
        ([good.as_str(), "\t\tx"].concat().into_bytes(), "control"),
        ([head, " ", tail].concat().into_bytes(), "followed by other text"),
        (vec![0xff, 0xfe, b'a'], "not UTF-8"),
        (vec![b'a'; 64 * 1024 + 1], "larger than 64 KiB"),
        // It must not be read to its end either; the hole takes no place on the disk.
        (Vec::new(), "larger than 64 KiB"),
    ];
    let last = cases.len() - 1;
    for (i, (content, why)) in cases.into_iter().enumerate() {
        fs::write(&bench.path, content).unwrap();
        if i == last {
            fs::File::options().write(true).open(&bench.path).unwrap().set_len(1 << 40).unwrap();
        }
        let said = bench.refusal().await;
        assert!(said.contains(why), "{said}");
        assert!(!said.contains(head) && !said.contains(tail), "the error shows the token");
    }
}

#[tokio::test]
async fn line_ends_are_trimmed_and_a_shorter_token_leaves_nothing_of_the_longer_one() {
    let bench = Bench::start().await;
    let sts = undemanding_sts().await;
    for (content, expected) in [
        ("a-long-token-written-by-hand\r\n", "a-long-token-written-by-hand"),
        ("a-short-token", "a-short-token"),
        ("\u{feff}a-token", ""),
        ("short\n", "short"),
    ] {
        fs::write(&bench.path, content).unwrap();
        match (provider(at(&sts, bench.env())).credentials().await, expected) {
            // A byte order mark is no whitespace.
            (Err(error), "") => assert!(error.to_string().contains("not ASCII"), "{error}"),
            (got, _) => {
                got.unwrap();
                assert_eq!(sent(sts.requests().last().unwrap()), expected);
            }
        }
    }
}

#[tokio::test]
async fn a_token_that_may_not_be_read_names_the_uid_the_mode_and_the_remedy() {
    let bench = Bench::start().await;
    fs::write(&bench.path, "").unwrap();
    fs::set_permissions(&bench.path, fs::Permissions::from_mode(0o000)).unwrap();
    let denied = fs::read(&bench.path).is_err();
    let said = bench.refusal().await;
    if !denied {
        println!("skipped: nothing is denied to this user (root), so the file is just empty");
        assert!(said.contains("is empty"), "{said}");
        return;
    }
    for part in ["uid ", "mode 0000", "fsGroup"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_fifo_is_refused_without_waiting_for_somebody_to_write_to_it() {
    let bench = Bench::start().await;
    bench.make_fifo(&bench.path);
    let began = Instant::now();
    assert!(bench.refusal().await.contains("not a regular file"));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}: the read hung until its time was up", began.elapsed());
}

/// A hung volume, made without a volume: the path is a file when it is looked at and a FIFO when it is opened. Swapping
/// the two without pause, some read falls into that trap, and hangs until somebody writes.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_read_that_hangs_holds_up_neither_the_runtime_nor_the_next_read() {
    let bench = Bench::start().await;
    let [file, fifo, next] = ["file", "fifo", "next"].map(|name| bench.folder.path().join(name));
    fs::write(&file, "").unwrap();
    bench.make_fifo(&fifo);
    let put = {
        let (path, next) = (bench.path.clone(), next.clone());
        move |what: &Path| {
            fs::hard_link(what, &next).unwrap();
            fs::rename(&next, &path).unwrap();
        }
    };
    put(&file);
    let enough = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (enough, file, fifo) = (Arc::clone(&enough), file.clone(), fifo.clone());
        move || {
            while !enough.load(SeqCst) {
                put(&fifo);
                put(&file);
            }
        }
    });
    let give_up = Instant::now() + Duration::from_secs(60);
    let mut swapper = Some(swapper);
    let ticks = 'hung: loop {
        assert!(Instant::now() < give_up, "no read fell into the trap");
        let provider = provider(bench.env());
        let mut ask = tokio_test::task::spawn(provider.credentials());
        let began = Instant::now();
        let mut beat = time::interval(millis(10));
        let mut ticks = 0_u32;
        let got = loop {
            tokio::select! {
                got = &mut ask => break got,
                _ = beat.tick() => ticks += 1,
            }
            // A file or a FIFO is refused within a millisecond.
            if began.elapsed() > Duration::from_secs(2) && swapper.is_some() {
                enough.store(true, SeqCst);
                swapper.take().unwrap().join().unwrap();
                fs::write(&file, bench.good_token()).unwrap();
            }
        };
        match got {
            Err(error) => assert_eq!(error.kind(), ErrorKind::TokenFile, "{}", whole(&error)),
            Ok(_) => {
                assert!((5..9).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
                break 'hung ticks;
            }
        }
    };
    // The thread that hangs is let go, or the runtime would wait for it: a writer comes, and goes.
    drop(fs::File::options().read(true).write(true).open(&fifo).unwrap());
    assert!(ticks > 100, "the runtime ticked {ticks} times in 5 s");
}
