//! The fault matrix: every fault of a source, in every state of the provider, over real sockets. Each cell checks the
//! kind of the error, the number of attempts, what callers get, and the message. `messages.txt` contains the messages.
//! `EKS_CREDENTIALS_BLESS=1 cargo test --test fault_matrix` updates it: review the changes.
#![cfg(all(unix, any(feature = "irsa", feature = "pod-identity")))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod cell;
#[cfg(all(feature = "irsa", feature = "pod-identity"))]
#[path = "../support/generated.rs"]
mod generated;
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

/// Each cell opens some sockets, and the limit is often about a thousand for each process.
const AT_ONCE: usize = 100;
const STATES: [State; 4] = [State::Cold, State::Usable, State::Expired, State::Fallback];

type Outcomes = HashMap<(usize, State), Outcome>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_matrix_every_cell_has_the_expected_outcome() {
    support::trace();
    support::watch_panics();
    let world = Arc::new(World::new().await);
    let rows: Arc<[Row]> = rows::rows().into();
    let (outcomes, failures) = run(&rows, &world).await;
    assert!(
        failures.is_empty(),
        "{} of {} cells:\n\n{}",
        failures.len(),
        rows.len() * STATES.len(),
        failures.join("\n\n")
    );
    if cfg!(all(feature = "irsa", feature = "pod-identity", feature = "__tls")) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_matrix/messages.txt");
        support::bless_or_compare(&path, &report(&rows, &outcomes));
    }
}

/// Each row of the documented tables for responses of a service has a row in the matrix, with the same consequences.
/// The documented tables are generated from the code, and the rows of the matrix are written by hand.
#[cfg(all(feature = "irsa", feature = "pod-identity"))]
#[test]
fn fault_matrix_covers_the_documented_tables() {
    use eks_credentials::SourceKind::{PodIdentity, WebIdentity};
    let (rows, mut compared) = (rows::rows(), 0);
    let mut source = None;
    let (_, tables, _) = generated::split(include_str!("../../src/docs/failures.md")).unwrap();
    for line in tables.lines() {
        match line {
            line if line.starts_with("## Refusals in the format of STS") => source = Some(WebIdentity),
            line if line.starts_with("## All other failures") => source = None,
            line if line.starts_with("## ") => source = Some(PodIdentity),
            _ => {}
        }
        let columns: Vec<_> = line.split(" | ").map(|column| column.trim_matches(['|', ' '])).collect();
        let ([answer, kind, cold_start, expired, fallback, _], Some(source)) = (columns.as_slice(), source) else {
            continue;
        };
        if *kind == "kind" || answer.starts_with("anything else") {
            continue;
        }
        let says = answer.split('"').nth(1).map(|says| says.trim_matches(['…', ' ']).to_owned()).unwrap_or_default();
        let codes: Vec<_> = answer.split('`').skip(1).step_by(2).collect();
        let codes = if codes.is_empty() { vec![""] } else { codes };
        for code in codes {
            let is_covered = rows.iter().filter(|row| row.source == source && !row.tls).any(|row| {
                let Expect::Fails { kind: of_row, verdict, code: code_of_row, .. } = row.expect else { return false };
                let cells = (
                    if verdict.retries_cold_start { "tries again" } else { "fails at once" },
                    if verdict.serves_expired { "served" } else { "not served" },
                    if verdict.falls_back { "yes" } else { "no" },
                );
                code_of_row.unwrap_or_default() == code
                    && row.name.to_lowercase().contains(&says)
                    && format!("`{of_row:?}`") == *kind
                    && cells == (*cold_start, *expired, *fallback)
            });
            assert!(is_covered, "no row of the matrix for {code} {says:?} of {source}: {line}");
            compared += 1;
        }
    }
    assert!(compared > 70, "{compared}");
}

/// The outcomes of all cells, and the messages of those that failed.
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

/// The text of `messages.txt`, with one block for each row.
fn report(rows: &[Row], outcomes: &Outcomes) -> String {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "## {}", row.title());
        if let Expect::Fails { kind, verdict, .. } = row.expect {
            let _ = writeln!(text, "{kind:?}, {}", verdict.name);
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
