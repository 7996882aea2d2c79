//! Latency over time, as SVG.

use std::time::Duration;

use anyhow::Result;
use plotters::prelude::*;

use crate::child::Paced;
use crate::report::results;

/// The calls of one subject over time, in slices of 0.1 s.
pub(crate) struct Curve {
    title: &'static str,
    slowest_ms: Vec<f64>,
    failed_in: Vec<u64>,
}

impl Curve {
    pub(crate) fn slowest(title: &'static str, paced: &Paced) -> Self {
        Self { title, slowest_ms: paced.slowest_ms.clone(), failed_in: paced.failed_in.clone() }
    }
}

const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
/// The lower end of the scale: 0.01 ms.
const LEAST_MS: f64 = 0.01;

/// Draws a panel for each subject, all on the same logarithmic scale, with the time of the `outage` in grey.
pub(crate) fn latency(file: &str, title: &str, curves: &[Curve], outage: Option<(Duration, Duration)>) -> Result<()> {
    let path = results(file);
    let height = 60 + 150 * u32::try_from(curves.len())?;
    let root = SVGBackend::new(&path, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 20))?;
    let most = curves.iter().flat_map(|curve| &curve.slowest_ms).fold(1_000.0, |most: f64, ms| most.max(*ms));
    for ((panel, curve), colour) in root.split_evenly((curves.len(), 1)).iter().zip(curves).zip(COLOURS) {
        let seconds = curve.slowest_ms.len() as f64 / 10.0;
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .caption(curve.title, ("sans-serif", 15))
            .x_label_area_size(26)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..seconds, (LEAST_MS..most * 2.0).log_scale())?;
        if let Some((from, until)) = outage {
            let corners = [(from.as_secs_f64(), LEAST_MS), (until.as_secs_f64(), most * 2.0)];
            chart.draw_series([Rectangle::new(corners, BLACK.mix(0.08).filled())])?;
        }
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(1)
            .y_labels(5)
            .y_label_formatter(&|ms| format!("{ms} ms"))
            .x_label_formatter(&|s| format!("{s} s"))
            .draw()?;
        let at = |slice: usize| slice as f64 / 10.0;
        // One outline instead of a shape for each slice: the file has a tenth of the lines.
        let slices = curve.slowest_ms.iter().enumerate();
        let steps = slices.flat_map(|(slice, ms)| [slice, slice + 1].map(|edge| (at(edge), ms.max(LEAST_MS))));
        let ends = [(seconds, LEAST_MS), (0.0, LEAST_MS)];
        chart.draw_series([Polygon::new(steps.chain(ends).collect::<Vec<_>>(), colour.filled())])?;
        let failed = curve.failed_in.iter().enumerate().filter(|(_, failed)| **failed > 0);
        chart.draw_series(failed.map(|(slice, _)| Cross::new((at(slice), most), 3, RED.stroke_width(1))))?;
    }
    root.present()?;
    Ok(())
}
