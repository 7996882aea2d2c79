//! The reads of token files that have not returned yet.
//!
//! A read from a volume that hangs cannot be cancelled: it blocks its thread until the volume answers. This registry limits
//! the number of blocked threads for each file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// A read and its start time. The reading thread drops its `Arc` when the read returns.
type Read = (Weak<()>, Instant);

/// The reads of each file that have not returned.
pub(super) static READS: Mutex<BTreeMap<PathBuf, Vec<Read>>> = Mutex::new(BTreeMap::new());
/// How many reads of one file may hang before no further read is started. The second one succeeds if the path leads to
/// another file in the meantime.
const MAX_HANGING: usize = 2;
/// A read that takes longer counts as hanging. Shorter ones are ignored, because several providers may read the same file at
/// the same time.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// Whether the maximum number of reads of this file hang.
pub(super) fn hangs(path: &Path) -> bool {
    let reads = READS.lock().unwrap_or_else(PoisonError::into_inner);
    let hanging = |(running, began): &&Read| running.strong_count() > 0 && began.elapsed() >= HANGS_AFTER;
    reads.get(path).is_some_and(|reads| reads.iter().filter(hanging).count() >= MAX_HANGING)
}

/// Registers a read, which lasts until the last clone of `running` is dropped. Removes the reads that have returned.
pub(super) fn register(path: &Path, running: &Arc<()>) {
    let mut reads = READS.lock().unwrap_or_else(PoisonError::into_inner);
    reads.values_mut().for_each(|reads| reads.retain(|(running, _)| running.strong_count() > 0));
    reads.retain(|_, reads| !reads.is_empty());
    reads.entry(path.to_owned()).or_default().push((Arc::downgrade(running), Instant::now()));
}
