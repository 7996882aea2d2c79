//! The calls that a whole fleet makes to STS over a day, with an outage: the real schedule on virtual time, for pods that one
//! deployment has started together.
//!
//! ```sh
//! cargo run --release --example fleet -- --pods 100000
//! cargo run --release --example fleet -- --pods 100000 --lifetime 6h --outage 20m --svg fleet.svg
//! ```
//!
//! It compares three rules: the schedule of this crate; the same schedule without randomness; and the lazy identity cache of
//! the SDK, which fetches 5–10 s before expiry when a request comes, here one request per second.
//!
//! The effect of an outage depends on its phase: the time between its beginning and the refreshes of the fleet, which is
//! different for each rule. Therefore the day is repeated with outages that begin at different times, spread evenly over one
//! lifetime of the credentials, and the table has the worst of them for each rule.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program with a printed result; the indexes are minutes and pods that it has numbered itself"
)]

#[path = "../../src/clock/arithmetic.rs"]
#[allow(dead_code, reason = "the example needs a part of it")]
mod clock;
mod day;
mod error;
mod plot;
mod refresh;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use day::{Day, Fleet, Rule};

const USAGE: &str = "\
usage: fleet [--pods N] [--lifetime TIME] [--outage TIME] [--rollout TIME] [--svg FILE]
  --pods      number of pods that one deployment starts (default 100000)
  --lifetime  lifetime of the credentials: by default 1h from STS, 6h from an EKS Pod Identity agent (default 1h)
  --outage    how long the source fails (default 20m)
  --rollout   time from the start of the first pod to the start of the last (default 60s)
  --svg       file of the plot (default: fleet.svg in Cargo's target folder)
A TIME is a number with a unit: 90s, 20m, 6h.";

fn main() -> ExitCode {
    match options() {
        Ok((fleet, svg)) => run(&fleet, &svg),
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<(Fleet, PathBuf), String> {
    let minutes = Duration::from_mins;
    let mut fleet = Fleet { pods: 100_000, lifetime: minutes(60), outage: minutes(20), rollout: minutes(1) };
    let mut svg = target_folder().join("fleet.svg");
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--pods" => fleet.pods = value.parse().map_err(|_| format!("--pods {value} is not a number"))?,
            "--lifetime" => fleet.lifetime = time(&value)?,
            "--outage" => fleet.outage = time(&value)?,
            "--rollout" => fleet.rollout = time(&value)?,
            "--svg" => svg = value.into(),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    if fleet.pods == 0 || fleet.lifetime < minutes(1) || fleet.rollout > minutes(60) || fleet.outage >= day::NOON {
        return Err(
            "--pods must be at least 1, --lifetime at least 1m, --rollout at most 60m, and --outage less than 12h"
                .into(),
        );
    }
    Ok((fleet, svg))
}

/// Cargo's target folder, wherever it was configured: Cargo has put this program into its folder `<profile>/examples`. The
/// current folder if the program was moved.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let examples = program.parent().filter(|folder| folder.ends_with("examples"));
    examples.and_then(|folder| folder.parent()?.parent()).map(Path::to_path_buf).unwrap_or_default()
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is not a time");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.parse::<u32>().map_err(|_| wrong())?.into()).saturating_mul(seconds))
}

fn run(fleet: &Fleet, svg: &Path) -> ExitCode {
    println!(
        "{} pods started within {:?}, credentials valid for {:?}, outages of {:?} that begin at {} times spread over one \
         lifetime. Calls per minute, and for outages the worst of them:\n",
        fleet.pods,
        fleet.rollout,
        fleet.lifetime,
        fleet.outage,
        fleet.outages().len()
    );
    println!(
        "| rule | mean | peak before the outage (× mean) | peak in the outage | peak after it (× mean) | pods that ran out |"
    );
    println!("|---|---|---|---|---|---|");
    let mut worst = Vec::new();
    for rule in Rule::ALL {
        let mut days: Vec<_> = fleet.outages().into_iter().map(|begin| Day::of(fleet, rule, begin)).collect();
        let highest = |of: fn(&Day) -> u32| days.iter().map(of).max().unwrap_or_default();
        let (in_outage, after, ran_out) =
            (highest(Day::peak_in_outage), highest(Day::peak_after), highest(|d| d.ran_out));
        let (mean, before) = (days[0].mean(), days[0].peak_before());
        println!(
            "| {} | {mean:.0} | {before} ({:.1} ×) | {in_outage} | {after} ({:.1} ×) | {ran_out} |",
            rule.title(),
            f64::from(before) / mean,
            f64::from(after) / mean,
        );
        days.sort_by_key(|day| (day.ran_out, day.peak_after()));
        worst.extend(days.pop().map(|day| (rule, day)));
    }
    match plot::calls(svg, fleet, &worst) {
        Ok(()) => {
            println!("\nplotted: {}", svg.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{} could not be written: {error}", svg.display());
            ExitCode::FAILURE
        }
    }
}
