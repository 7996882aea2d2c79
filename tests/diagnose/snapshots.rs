//! `findings.txt`: what the example `doctor` prints for each fault.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::support::bless_or_compare;

/// Precedes each fault's name. No line of a diagnosis begins with it.
const HEADER: &str = "======== doctor --local ";

/// Tests of this file run in parallel, and each replaces its own entry of the same file.
static FILE: Mutex<()> = Mutex::new(());

fn path() -> PathBuf {
    crate::root().join("tests/diagnose/findings.txt")
}

/// What is printed for each fault, by the fault's name.
pub(crate) fn all() -> BTreeMap<String, String> {
    let _guard = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    read()
}

/// Compares `text` with the entry of `fault`, or replaces the entry if `EKS_CREDENTIALS_BLESS` is set. All other entries
/// are left as they are.
pub(crate) fn compare(fault: &str, text: &str) {
    let _guard = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut snapshots = read();
    snapshots.insert(fault.to_owned(), text.to_owned());
    let file: String = snapshots.iter().map(|(fault, text)| format!("{HEADER}{fault}\n{text}")).collect();
    bless_or_compare(&path(), &file);
}

fn read() -> BTreeMap<String, String> {
    let file = fs::read_to_string(path()).unwrap_or_default();
    let mut snapshots = BTreeMap::new();
    let mut entry: Option<&mut String> = None;
    for line in file.split_inclusive('\n') {
        match (line.strip_prefix(HEADER), &mut entry) {
            (Some(fault), _) => entry = Some(snapshots.entry(fault.trim_end().to_owned()).or_default()),
            (None, Some(text)) => text.push_str(line),
            (None, None) => panic!("findings.txt does not begin with the header of an entry"),
        }
    }
    snapshots
}
