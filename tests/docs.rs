//! Checks that the tests named in the documentation exist, and that its shell commands work.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn reliability_page_names_existing_tests() {
    let root = root();
    let mut all = String::new();
    sources(&root.join("src"), &mut all);
    sources(&root.join("tests"), &mut all);
    sources(&root.join("fuzz/oracles"), &mut all);
    let page = fs::read_to_string(root.join("src/docs/reliability.md")).unwrap();
    let guarantees = page.lines().filter(|line| line.starts_with('|'));
    let named = guarantees.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|name| name.contains('_'));
    let named: Vec<_> = named.filter(|name| !name.contains('(')).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(
            all.contains(&format!("fn {name}(")) || all.contains(&format!("{name}:")),
            "the test {name} does not exist"
        );
    }
}

/// Returns each block of shell commands of a page, and the output that the page shows directly after it.
fn commands(page: &str) -> Vec<(String, Option<String>)> {
    let page = fs::read_to_string(root().join("src/docs").join(page)).unwrap();
    let parts: Vec<_> = page.split("```").collect();
    let block = |n: usize, language| parts.get(n).and_then(|part| part.strip_prefix(language)).map(str::to_owned);
    let fenced = (1..parts.len()).step_by(2);
    fenced.filter_map(|n| Some((block(n, "sh\n")?, block(n + 2, "text\n").filter(|_| parts[n + 1] == "\n")))).collect()
}

/// Runs the commands of a page in one shell and in a new folder, with stand-ins for kubectl and aws. Compares the output
/// of each block with the output that the page shows. The amount of white space may differ.
fn run(page: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = root().join("tests/docs");
    fs::copy(fixtures.join("trust-policy.json"), folder.path().join("role.json")).unwrap();
    let mut script = fs::read_to_string(fixtures.join("stand_ins.sh")).unwrap();
    let commands = commands(page);
    for (n, (block, _)) in commands.iter().enumerate() {
        script.push_str(&format!("exec >{n}.out\n{block}\n"));
    }
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(folder.path()).stdin(Stdio::null());
    let ran = bash.env("FIXTURES", &fixtures).env("DEPLOY", root().join("examples/deploy")).output().unwrap();
    assert!(ran.status.success(), "{page}: {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
    let words = |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for (n, (block, shown)) in commands.iter().enumerate() {
        let Some(shown) = shown else { continue };
        let (printed, shown): (Vec<String>, Vec<String>) =
            (words(&fs::read_to_string(folder.path().join(format!("{n}.out"))).unwrap()), words(shown));
        assert_eq!(printed, shown, "{page}: {block}");
    }
    folder
}

#[test]
#[ignore = "needs bash and jq"]
fn page_commands_print_the_output_on_the_page() {
    let json = |path: &Path| -> Value {
        let text = fs::read_to_string(path).unwrap().replace("EXAMPLED539D4633E53DE1B71EXAMPLE", "EXAMPLE");
        serde_json::from_str(&text).unwrap()
    };
    run("choosing.md");
    assert!(commands("migrating.md").iter().filter(|(_, shown)| shown.is_some()).count() >= 3);
    let migrated = run("migrating.md");
    let both = json(&migrated.path().join("both.json"));
    assert_eq!(
        both,
        json(&root().join("examples/deploy/both/trust-policy.json")),
        "the trust policy that trusts both sources"
    );
    let left = &json(&migrated.path().join("role.json"))["Statement"];
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    assert_eq!(left[0]["Principal"]["Service"], "pods.eks.amazonaws.com");
}
