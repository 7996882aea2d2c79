//! Runs every input of the corpus, and every finding, through the oracles, without a fuzzer.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

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
fn fuzz_targets_accept_their_corpus_and_every_finding() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let corpus = unpack(&fs::read_to_string(fuzz.join(format!("corpus/{name}.txt"))).unwrap());
        let findings = files(&fuzz.join("findings").join(name));
        println!("{name}: {} inputs, {} findings", corpus.len(), findings.len());
        assert!(corpus.len() >= 20, "the corpus of {name} has {} inputs", corpus.len());
        for (input, data) in corpus.into_iter().chain(findings) {
            if catch_unwind(|| target(&data)).is_err() {
                failed.push(format!("{name}: {input}"));
            }
        }
    }
    assert!(failed.is_empty(), "the messages above belong to these inputs, in this order: {failed:#?}");
}

#[test]
fn fuzz_corpus_is_unpacked_byte_for_byte() {
    let packed = "= 0a\n|\n= 0b\n|a\\x5cb\\x00\\xff\n||\n|\n";
    let expected = [("0a", b"".as_slice()), ("0b", b"a\\b\0\xff\n|\n")];
    assert_eq!(unpack(packed), expected.map(|(name, data)| (name.to_owned(), data.to_owned())));
}

/// Name and content of each input. `fuzz/corpus.py`, which writes these files, describes their format.
fn unpack(packed: &str) -> Vec<(String, Vec<u8>)> {
    let entries = packed.strip_prefix("= ").unwrap().split("\n= ").map(|entry| {
        let (name, lines) = entry.split_once('\n').unwrap();
        let lines = lines.lines().map(|line| unescape(line.strip_prefix('|').unwrap()));
        (name.to_owned(), lines.collect::<Vec<_>>().join(&b'\n'))
    });
    entries.collect()
}

/// `\xNN` is a byte; everything else stands for itself.
fn unescape(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, text) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).unwrap());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Name and content of each file in `folder`, sorted by name. A target without findings has no folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}
