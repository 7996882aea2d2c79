//! Calls per minute over the day, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::day::{Day, Fleet, Rule};

const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(213, 94, 0)];

/// One panel for each rule, with the outage that most pods ran out of credentials in. All panels have the same scale. Higher
/// peaks are cut; the caption has their number.
pub(crate) fn calls(file: &Path, fleet: &Fleet, days: &[(Rule, Day)]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (900, 600)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("Calls per minute of {} pods started together. Shaded: the worst outage", fleet.pods);
    let root = root.titled(&title, ("sans-serif", 20))?;
    let mean = days.first().map_or(1.0, |(_, day)| day.mean());
    let scale = mean * 10.0;
    for ((panel, (rule, day)), colour) in root.split_evenly((days.len(), 1)).iter().zip(days).zip(COLOURS) {
        let most = day.calls.iter().copied().max().unwrap_or_default();
        let caption = format!("{} (highest minute: {most})", rule.title());
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .caption(caption, ("sans-serif", 15))
            .x_label_area_size(26)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..24.0, 0.0..scale)?;
        let hours = |minutes: f64| minutes / 60.0;
        let shaded = [(hours(day.outage.start as f64), 0.0), (hours(day.outage.end as f64), scale)];
        chart.draw_series([Rectangle::new(shaded, BLACK.mix(0.12).filled())])?;
        chart.configure_mesh().disable_x_mesh().y_labels(5).x_label_formatter(&|hour| format!("{hour:.0} h")).draw()?;
        let points = day
            .calls
            .iter()
            .take(24 * 60)
            .enumerate()
            .map(|(at, calls)| (hours(at as f64), f64::from(*calls).min(scale)));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(1)))?;
    }
    root.present()?;
    Ok(())
}
