//! Credentials for IAM tokens, which end with the credentials that sign them.

use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::time::sleep;

use super::bench::{Bench, Mode, POLICY, secs};
use crate::error::{Error, ErrorKind};
use crate::refresh::state::Policy;

const TOKEN: Duration = secs(900);

/// A provider that refreshes only in the last minute, so that a test can reach the minutes before.
fn late(mode: Mode) -> Bench {
    Bench::with(mode, Policy { advisory_window: Some(secs(60)), ..POLICY })
}

impl Bench {
    async fn lasting(&self) -> Result<Credentials, Error> {
        self.shared.get_lasting(TOKEN, |current| current.credentials.clone()).await
    }

    fn cached_lasting(&self) -> Result<Credentials, Error> {
        self.shared.cached_lasting(TOKEN, |current| current.credentials.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn get_lasting_fetches_if_the_token_would_end_early() {
    let bench = late(Mode::Issue(3600));
    assert_eq!(bench.lasting().await.unwrap().access_key_id(), "key-0");
    sleep(secs(2690)).await;
    assert_eq!(bench.lasting().await.unwrap().access_key_id(), "key-0");
    sleep(secs(20)).await;
    assert_eq!(bench.lasting().await.unwrap().access_key_id(), "key-1");
    assert_eq!(bench.source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn get_lasting_returns_current_credentials_in_an_outage() {
    let bench = late(Mode::Issue(3600));
    bench.lasting().await.unwrap();
    bench.source.set(Mode::Fail(ErrorKind::Unavailable));
    sleep(secs(3000)).await;
    for _ in 0..3 {
        assert_eq!(bench.lasting().await.unwrap().access_key_id(), "key-0");
        assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-0");
    }
    // After the expiry, callers still get the credentials, but a token would have no life.
    sleep(secs(700)).await;
    assert_eq!(bench.call().await.unwrap().access_key_id(), "key-0");
    assert_eq!(bench.lasting().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(bench.cached_lasting().unwrap_err().kind(), ErrorKind::Unavailable);
    bench.source.set(Mode::Issue(3600));
    bench.next_attempt().await;
    sleep(secs(1)).await;
    assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-1");
}

/// Otherwise every token would fetch credentials that are not better.
#[tokio::test(start_paused = true)]
async fn get_lasting_asks_a_source_for_half_of_what_it_grants() {
    let bench = late(Mode::Issue(900));
    for _ in 0..14 {
        assert_eq!(bench.lasting().await.unwrap().access_key_id(), "key-0");
        sleep(secs(30)).await;
    }
    assert_eq!(bench.source.calls(), 1);
    sleep(secs(60)).await;
    assert_eq!(bench.lasting().await.unwrap().access_key_id(), "key-1");
    assert_eq!(bench.source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn cached_lasting_starts_the_task_and_wakes_it() {
    let bench = late(Mode::Issue(3600));
    assert_eq!(bench.cached_lasting().unwrap_err().to_string(), "no credentials have been fetched yet; call again");
    sleep(secs(1)).await;
    assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-0");
    sleep(secs(2650)).await;
    assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-0");
    assert_eq!(bench.source.calls(), 1);
    sleep(secs(60)).await;
    // The current credentials sign this token. The next one is signed with new credentials.
    assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-0");
    sleep(secs(1)).await;
    assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-1");
    assert_eq!(bench.source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn cached_lasting_returns_the_error_of_the_last_fetch() {
    let bench = late(Mode::Fail(ErrorKind::Denied));
    assert_eq!(bench.cached_lasting().unwrap_err().kind(), ErrorKind::Unavailable);
    sleep(secs(2)).await;
    assert_eq!(bench.cached_lasting().unwrap_err().kind(), ErrorKind::Denied);
}

/// As after a suspension: the task has not run since the expiry.
#[tokio::test(start_paused = true)]
async fn cached_lasting_after_a_jump_says_that_a_refresh_is_in_progress() {
    let bench = late(Mode::Issue(3600));
    bench.lasting().await.unwrap();
    bench.wall.forward(secs(4000));
    let error = bench.cached_lasting().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("the credentials have expired, and new ones are being fetched"), "{error}");
    sleep(secs(3)).await;
    assert_eq!(bench.cached_lasting().unwrap().access_key_id(), "key-1");
}
