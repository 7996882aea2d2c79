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

fn page(name: &str) -> String {
    fs::read_to_string(root().join("src/docs").join(name)).unwrap()
}

/// Returns the rows of all tables of a page, each as cells with the heading of their column.
fn rows(page: &str) -> Vec<Vec<(&str, &str)>> {
    let mut rows = Vec::new();
    let mut headings: Option<Vec<&str>> = None;
    for line in page.lines() {
        let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            headings = None;
            continue;
        };
        let cells: Vec<_> = cells.split('|').map(str::trim).collect();
        match &headings {
            None => headings = Some(cells),
            Some(_) if cells.iter().all(|cell| cell.trim_matches('-').is_empty() && !cell.is_empty()) => {}
            Some(headings) => {
                assert_eq!(headings.len(), cells.len(), "{line}");
                rows.push(headings.iter().copied().zip(cells).collect());
            }
        }
    }
    rows
}

#[test]
fn pages_name_existing_tests() {
    let root = root();
    let mut all = String::new();
    sources(&root.join("src"), &mut all);
    sources(&root.join("tests"), &mut all);
    sources(&root.join("fuzz/oracles"), &mut all);
    for (name, at_least) in [("reliability.md", 20), ("compatibility.md", 20)] {
        let page = page(name);
        let cells = rows(&page).into_iter().flatten().filter(|(heading, _)| *heading == "tests");
        let quoted = cells.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2));
        let named: Vec<_> = quoted.filter(|name| name.contains('_') && !name.contains('(')).collect();
        assert!(named.len() > at_least, "{name}: {named:?}");
        for test in named {
            assert!(
                all.contains(&format!("fn {test}(")) || all.contains(&format!("{test}:")),
                "{name}: the test {test} does not exist"
            );
        }
    }
}

/// The lowest versions are those of `Cargo.toml`, and `.ci/platforms` compiles the library for each target that the page lists.
#[test]
fn compatibility_page_has_the_versions_and_targets_of_ci() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let ci = fs::read_to_string(root().join(".ci/platforms")).unwrap();
    let page = page("compatibility.md");
    let (mut versions, mut targets) = (0, 0);
    for row in rows(&page) {
        match row[..] {
            [("crate", name), ("lowest version", version), _] => {
                let name = name.trim_matches('`');
                let is_stated = |line: &str| {
                    let is_named = line.starts_with(&format!("{name} = ")) || line.contains(&format!("\"{name}\""));
                    is_named && line.contains(&format!("\"{version}\""))
                };
                assert!(dependencies.lines().any(is_stated), "Cargo.toml does not have {name} {version}");
                versions += 1;
            }
            [("target", target), (_, what)] if what.starts_with("the library compiles") => {
                let target = target.trim_matches('`');
                assert!(ci.contains(target), ".ci/platforms does not compile the library for {target}");
                targets += 1;
            }
            _ => {}
        }
    }
    assert!(versions > 10 && targets > 2, "{versions} versions, {targets} targets");
}

/// Returns each block of shell commands of a page, and the output that the page shows directly after it.
fn commands(page: &str) -> Vec<(String, Option<String>)> {
    let page = self::page(page);
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
