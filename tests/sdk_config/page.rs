//! Compares the tables of the page *Switching from aws-config* with the results of the tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::generated;
use crate::support::bless_or_compare;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/switching_from_aws_config.md")
}

/// Compares the generated table of the page with `rows`, or writes it.
pub(crate) fn compare_table(rows: &[[String; 4]]) {
    let page = fs::read_to_string(path()).unwrap();
    let (before, _, after) = generated::split(&page).expect("the page has a place for the table");
    let mut table = "| variable | value | `load_defaults` | `sdk_config()` |\n|---|---|---|---|\n".to_owned();
    let mut last = "";
    for [variable, value, loader, ours] in rows {
        let shown = if last == variable { "" } else { variable };
        last = variable;
        table.push_str(&format!("| {shown} | {value} | {loader} | {ours} |\n"));
    }
    bless_or_compare(&path(), &format!("{before}{table}{after}"));
}

/// The names in the first column of the table below a heading.
pub(crate) fn names_below(heading: &str) -> Vec<String> {
    let page = fs::read_to_string(path()).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("the page has this heading");
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let names = cells.flat_map(|cell| cell.split('`').filter(|name| name.starts_with("AWS_")));
    names.map(str::to_owned).collect()
}
