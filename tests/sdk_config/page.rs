//! The page *Switching from aws-config*: its tables are compared with what was found.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::bless_or_compare;

const BEGIN: &str = "<!-- table of variables: written by tests/sdk_config -->\n";
const END: &str = "<!-- end -->\n";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/switching_from_aws_config.md")
}

/// Compares the table between the two marks with `rows`, or writes it.
pub(crate) fn compare_table(rows: &[[String; 4]]) {
    let page = fs::read_to_string(path()).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (_, after) = rest.split_once(END).expect("the place for the table has an end");
    let mut table = "| variable | value | `load_defaults` | `sdk_config()` |\n|---|---|---|---|\n".to_owned();
    let mut last = "";
    for [variable, value, loader, ours] in rows {
        let shown = if last == variable { "" } else { variable };
        last = variable;
        table.push_str(&format!("| {shown} | {value} | {loader} | {ours} |\n"));
    }
    bless_or_compare(&path(), &format!("{before}{BEGIN}\n{table}\n{END}{after}"));
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
