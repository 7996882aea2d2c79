//! The fault matrix: every fault that a source can show × what the provider has in hand, over real sockets. For each the
//! kind of the error, how often the source is asked, what callers get, and the message, which is kept in
//! `messages.txt`: `EKS_CREDENTIALS_BLESS=1 cargo test --test fault_matrix` writes it anew, for a person to read.
#![cfg(all(unix, any(feature = "irsa", feature = "pod-identity")))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod cell;
mod rows;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use cell::{Outcome, State, World};
use rows::{Expect, Row};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Each cell has some sockets open, and a process may have a thousand.
const AT_ONCE: usize = 100;
const STATES: [State; 3] = [State::Cold, State::Usable, State::Expired];

type Outcomes = HashMap<(usize, State), Outcome>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_met_as_it_must_be_and_explained() {
    support::trace();
    support::watch_panics();
    let world = Arc::new(World::new().await);
    let rows: Arc<[Row]> = rows::rows().into();
    let (outcomes, failures) = run(&rows, &world).await;
    assert!(failures.is_empty(), "{} of {} cells:\n\n{}", failures.len(), rows.len() * 3, failures.join("\n\n"));
    if cfg!(all(feature = "irsa", feature = "pod-identity", feature = "__tls")) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_matrix/messages.txt");
        support::bless_or_compare(&path, &report(&rows, &outcomes));
    }
}

/// All cells, and why those failed that did.
async fn run(rows: &Arc<[Row]>, world: &Arc<World>) -> (Outcomes, Vec<String>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut cells = JoinSet::new();
    let mut names = HashMap::new();
    for at in 0..rows.len() {
        for state in STATES {
            let (rows, world, turns) = (Arc::clone(rows), Arc::clone(world), Arc::clone(&turns));
            let cell = cells.spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                ((at, state), cell::run(&rows[at], state, &world).await)
            });
            names.insert(cell.id(), (at, state));
        }
    }
    let (mut outcomes, mut failures) = (HashMap::new(), Vec::new());
    while let Some(ended) = cells.join_next().await {
        match ended {
            Ok((place, outcome)) => drop(outcomes.insert(place, outcome)),
            Err(failed) => {
                let (at, state) = names[&failed.id()];
                let panic = failed.into_panic();
                let why = panic.downcast_ref::<String>().cloned();
                let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned())).unwrap_or_default();
                failures.push(format!("{} ({state:?}): {why}", rows[at].title()));
            }
        }
    }
    failures.sort();
    (outcomes, failures)
}

/// One block for each row.
fn report(rows: &[Row], outcomes: &Outcomes) -> String {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "## {}", row.title());
        if let Expect::Fails { kind, transient, .. } = row.expect {
            let _ = writeln!(text, "{kind:?}, {}", if transient { "transient" } else { "permanent" });
        }
        let cells = STATES.map(|state| (state, &outcomes[&(at, state)]));
        for (state, Outcome { line, .. }) in &cells {
            let _ = writeln!(text, "{:<8} {line}", format!("{state:?}").to_lowercase());
        }
        let mut said: Vec<&String> = cells.iter().filter_map(|(_, outcome)| outcome.message.as_ref()).collect();
        said.dedup();
        for message in said {
            let _ = writeln!(text, "> {message}");
        }
        text.push('\n');
    }
    text
}
