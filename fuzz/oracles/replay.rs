//! The corpus and every finding, without a fuzzer.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 6] = [
    ("sts", super::sts),
    ("agent", super::agent),
    ("claims", super::claims),
    ("uris", super::uris),
    ("dates", super::dates),
    ("environment", super::environment),
];

#[test]
fn the_corpus_of_every_fuzz_target_and_every_finding_keep_their_promises() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join(".cargo_vcs_info.json").exists() {
        // The published package has these tests, and not their corpus.
        return;
    }
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let corpus = files(&root.join("fuzz/corpus").join(name));
        assert!(corpus.len() >= 20, "the corpus of {name} has {} files", corpus.len());
        for file in corpus.into_iter().chain(files(&root.join("fuzz/findings").join(name))) {
            let input = fs::read(&file).unwrap();
            if catch_unwind(|| target(&input)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "what is wrong stands above, in this order: {broken:#?}");
}

/// In order of their names. A target has no folder of findings while there are none.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
