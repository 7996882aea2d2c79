//! What a whole fleet asks of STS over a day: the real schedule on virtual time, for pods that one deployment has started
//! together, with an outage.
//!
//! ```sh
//! cargo run --release --example fleet -- --pods 100000
//! cargo run --release --example fleet -- --pods 100000 --lifetime 6h --outage 20m --svg fleet.svg
//! ```
//!
//! Three rules are compared: this crate's; the same without randomness; and that of the SDK's lazy identity cache, which
//! fetches 5–10 s before expiry when a request comes, here one a second. Calls are counted by the minute.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program for people, whose minutes and pods are numbered by itself"
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
  --pods      how many pods one deployment starts (default 100000)
  --lifetime  of the credentials: 1h from STS by default, 6h from an EKS Pod Identity agent (default 1h)
  --outage    how long the source fails, from noon on (default 20m)
  --rollout   how long it takes until all pods have started (default 60s)
  --svg       where the plot goes (default target/fleet.svg)
times are written as 90s, 20m or 6h";

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
    let mut svg = PathBuf::from("target/fleet.svg");
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--pods" => fleet.pods = value.parse().map_err(|_| format!("--pods {value} is not a number"))?,
            "--lifetime" => fleet.lifetime = time(&value)?,
            "--outage" => fleet.outage = time(&value)?,
            "--rollout" => fleet.rollout = time(&value)?,
            "--svg" => svg = value.into(),
            _ => return Err(format!("there is no option {option}")),
        }
    }
    if fleet.pods == 0 || fleet.lifetime < minutes(1) || fleet.rollout > minutes(60) || fleet.outage >= day::NOON {
        return Err(
            "at least one pod, credentials of a minute, a rollout of an hour and an outage of less than half a day"
                .into(),
        );
    }
    Ok((fleet, svg))
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
        "{} pods started within {:?}, credentials of {:?}, the source fails from noon on for {:?}; calls per minute:\n",
        fleet.pods, fleet.rollout, fleet.lifetime, fleet.outage
    );
    println!(
        "| rule | mean | peak before the outage (× mean) | peak in the outage | peak after it (× mean) | pods that ran out |"
    );
    println!("|---|---|---|---|---|---|");
    let mut days = Vec::new();
    for rule in Rule::ALL {
        let day = Day::of(fleet, rule);
        let (mean, before, after) = (day.mean(), day.peak_before(), day.peak_after());
        println!(
            "| {} | {mean:.0} | {before} ({:.1} ×) | {} | {after} ({:.1} ×) | {} |",
            rule.title(),
            f64::from(before) / mean,
            day.peak_in_outage(),
            f64::from(after) / mean,
            day.ran_out
        );
        days.push((rule, day));
    }
    match plot::calls(svg, fleet, &days) {
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
