//! The projected token on a real file system: replaced under load, late, missing, unreadable, or not a token.
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

/// A pod whose token file is created by the test.
struct Fixture {
    pod: LocalPod,
    folder: TempDir,
    path: PathBuf,
}

impl Fixture {
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

    /// The error message of a call. The error is permanent and contains the path, and no request is sent to STS.
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

/// The token in a request to STS.
fn sent(request: &str) -> String {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let mut form = form_urlencoded::parse(body.as_bytes());
    form.find(|(name, _)| name == "WebIdentityToken").unwrap().1.into_owned()
}

/// An STS that accepts every request. A refusal and a second attempt would hide that a wrong token was sent.
async fn permissive_sts() -> Recorder {
    let answer = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                  <AccessKeyId>ASIALOCALA</AccessKeyId><SecretAccessKey>local-secret-a</SecretAccessKey>\
                  <SessionToken>local-session-a</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                  </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    Recorder::start(http(200, "text/xml", answer)).await
}

fn at(sts: &Recorder, env: Vec<(String, String)>) -> Vec<(String, String)> {
    with(env, "AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address))
}

/// The token is rotated ten thousand times, as fast as possible, while providers start one after the other. Each request must
/// contain a complete token, which is not older than the fetch.
#[tokio::test]
async fn token_file_is_read_whole_and_current_during_rotations() {
    support::trace();
    let pod = Arc::new(LocalPod::builder().signing(Signing::Es256).start().await.unwrap());
    let sts = permissive_sts().await;
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
    assert_eq!(written.len(), 1 + ROTATIONS as usize, "every token is different");
    let requests = sts.requests();
    assert_eq!(requests.len(), oldest_allowed.len(), "no fetch took two attempts");
    for (request, oldest_allowed) in requests.iter().zip(oldest_allowed) {
        let n = written.get(&sent(request)).expect("a token that was never written");
        assert!(*n >= oldest_allowed, "token {n} was sent when {oldest_allowed} was already in place");
    }
    println!("{} fetches during {ROTATIONS} rotations", requests.len());
    assert!(requests.len() > 50, "{} fetches are too few", requests.len());
}

/// A provider whose time can be paused.
fn on_this_runtime(fixture: &Fixture) -> EksCredentialsProvider {
    builder(fixture.env()).runtime(tokio::runtime::Handle::current()).build().unwrap()
}

/// The file is read up to five times, 50 ms apart. If it is missing for longer, that is an error. Time is paused only until the
/// file exists, because sockets need real time.
#[tokio::test]
async fn token_file_missing_for_a_moment_is_read_again() {
    let fixture = Fixture::start().await;
    for gap in [25, 75, 125, 175] {
        let _ = fs::remove_file(&fixture.path);
        let provider = on_this_runtime(&fixture);
        time::pause();
        let mut call = tokio_test::task::spawn(provider.credentials());
        tokio_test::assert_pending!(call.poll());
        time::sleep(millis(gap)).await;
        fs::write(&fixture.path, fixture.good_token()).unwrap();
        time::resume();
        call.await.unwrap_or_else(|e| panic!("a gap of {gap} ms: {}", whole(&e)));
    }
    let provider = on_this_runtime(&fixture);
    fs::remove_file(&fixture.path).unwrap();
    time::pause();
    let began = Instant::now();
    let error = provider.credentials().await.unwrap_err();
    assert!((millis(200)..millis(225)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::TokenFile);
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn token_file_error_says_what_the_path_leads_to() {
    let mut fixture = Fixture::start().await;
    assert!(fixture.refusal().await.contains("does not exist"));
    symlink("nowhere", &fixture.path).unwrap();
    assert!(fixture.refusal().await.contains("does not exist"));
    fs::remove_file(&fixture.path).unwrap();
    fs::create_dir(&fixture.path).unwrap();
    assert!(fixture.refusal().await.contains("not a regular file"));
    fs::remove_dir(&fixture.path).unwrap();
    fs::write(&fixture.path, "file").unwrap();
    fixture.path = fixture.path.join("token");
    assert!(fixture.refusal().await.contains("is a file and not a directory"));
}

/// A permanent error. It must not be treated as an error of the volume, which is retried for the whole startup timeout.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn token_file_symlink_to_itself_is_refused_at_once() {
    let fixture = Fixture::start().await;
    symlink("token", &fixture.path).unwrap();
    assert!(fixture.refusal().await.contains("a loop of symbolic links"));
    let other = fixture.folder.path().join("other");
    fs::remove_file(&fixture.path).unwrap();
    symlink("other", &fixture.path).unwrap();
    symlink("token", other).unwrap();
    assert!(fixture.refusal().await.contains("a loop of symbolic links"));
}

#[tokio::test]
async fn token_file_without_a_valid_token_is_refused_unsent() {
    let fixture = Fixture::start().await;
    let good = fixture.good_token();
    let (head, tail) = good.split_at(good.len() / 2);
    let cases: [(Vec<u8>, &str); 12] = [
        (Vec::new(), "is empty"),
        (b" \r\n\n".to_vec(), "is empty"),
        ([head, "\n", tail].concat().into_bytes(), "line break"),
        ([head, "\r", tail].concat().into_bytes(), "line break"),
        ([head, "\0", tail].concat().into_bytes(), "line break, a control"),
        ([head, "é", tail].concat().into_bytes(), "not ASCII"),
        // The token is followed by a line of a log.
        ([good.as_str(), " 2026-11-24T10:00:00Z rotated"].concat().into_bytes(), "followed by other text"),
        ([good.as_str(), "\t\tx"].concat().into_bytes(), "control"),
        ([head, " ", tail].concat().into_bytes(), "followed by other text"),
        (vec![0xff, 0xfe, b'a'], "not UTF-8"),
        (vec![b'a'; 64 * 1024 + 1], "larger than 64 KiB"),
        // A sparse file of 1 TiB, which must not be read to its end.
        (Vec::new(), "larger than 64 KiB"),
    ];
    let last = cases.len() - 1;
    for (i, (content, why)) in cases.into_iter().enumerate() {
        fs::write(&fixture.path, content).unwrap();
        if i == last {
            fs::File::options().write(true).open(&fixture.path).unwrap().set_len(1 << 40).unwrap();
        }
        let message = fixture.refusal().await;
        assert!(message.contains(why), "{message}");
        assert!(!message.contains(head) && !message.contains(tail), "the error shows the token");
    }
}

/// Line ends are removed. A short token that replaces a long one is sent without the end of the long one.
#[tokio::test]
async fn token_file_is_trimmed_and_keeps_nothing_of_longer_tokens() {
    let fixture = Fixture::start().await;
    let sts = permissive_sts().await;
    for (content, expected) in [
        ("a-long-token-written-by-hand\r\n", "a-long-token-written-by-hand"),
        ("a-short-token", "a-short-token"),
        ("\u{feff}a-token", ""),
        ("short\n", "short"),
    ] {
        fs::write(&fixture.path, content).unwrap();
        match (provider(at(&sts, fixture.env())).credentials().await, expected) {
            // A byte order mark is not whitespace.
            (Err(error), "") => assert!(error.to_string().contains("not ASCII"), "{error}"),
            (got, _) => {
                got.unwrap();
                assert_eq!(sent(sts.requests().last().unwrap()), expected);
            }
        }
    }
}

/// The error contains the uid of this process, the mode of the file, and the remedy.
#[tokio::test]
async fn token_file_permission_error_names_uid_and_mode() {
    let fixture = Fixture::start().await;
    fs::write(&fixture.path, "").unwrap();
    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o000)).unwrap();
    let denied = fs::read(&fixture.path).is_err();
    let message = fixture.refusal().await;
    if !denied {
        println!("skipped: nothing is denied to this user (root), so the file is just empty");
        assert!(message.contains("is empty"), "{message}");
        return;
    }
    for part in ["uid ", "mode 0000", "fsGroup"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn token_file_that_is_a_fifo_is_refused_without_waiting() {
    let fixture = Fixture::start().await;
    fixture.make_fifo(&fixture.path);
    let began = Instant::now();
    assert!(fixture.refusal().await.contains("not a regular file"));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}: the read hung until its time was up", began.elapsed());
}

/// Simulates a volume that hangs. The path is replaced continuously, alternately by a file and a FIFO. Some read finds a file
/// when it checks the type and a FIFO when it opens the path. This read hangs until a process writes to the FIFO.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn token_file_read_that_hangs_blocks_nothing_else() {
    let fixture = Fixture::start().await;
    let [file, fifo, next] = ["file", "fifo", "next"].map(|name| fixture.folder.path().join(name));
    fs::write(&file, "").unwrap();
    fixture.make_fifo(&fifo);
    let put = {
        let (path, next) = (fixture.path.clone(), next.clone());
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
        assert!(Instant::now() < give_up, "no read hung");
        let provider = provider(fixture.env());
        let mut call = tokio_test::task::spawn(provider.credentials());
        let began = Instant::now();
        let mut beat = time::interval(millis(10));
        let mut ticks = 0_u32;
        let got = loop {
            tokio::select! {
                got = &mut call => break got,
                _ = beat.tick() => ticks += 1,
            }
            // A file or a FIFO is refused within a millisecond.
            if began.elapsed() > Duration::from_secs(2) && swapper.is_some() {
                enough.store(true, SeqCst);
                swapper.take().unwrap().join().unwrap();
                fs::write(&file, fixture.good_token()).unwrap();
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
    // Opening the FIFO for writing releases the thread that hangs. Otherwise the runtime would wait for it.
    drop(fs::File::options().read(true).write(true).open(&fifo).unwrap());
    assert!(ticks > 100, "the runtime ticked {ticks} times in 5 s");
}
