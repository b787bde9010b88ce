//! Plots as SVG, to stand in a page: they take their colours from it.

use hostler_daemon::history::Trend;
use hostler_decide::measures::Measure;
use plotters::prelude::*;

use crate::render::measured::{measured, time_of_day};

/// Width and height of a plot with axes, in pixels.
const SIZE: (u32, u32) = (440, 150);
/// The same of one without.
const SMALL: (u32, u32) = (150, 26);

/// Readable on a light ground and on a dark one.
const LINE: RGBColor = RGBColor(0x3b, 0x82, 0xc4);
const TEXT: RGBColor = RGBColor(0x80, 0x86, 0x8b);

/// Stretches of known values, by the numbers of their parts.
fn stretches(values: &[Option<f64>]) -> Vec<Vec<(f64, f64)>> {
    let mut stretches: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for (part, value) in values.iter().enumerate() {
        match value {
            Some(value) => stretches
                .last_mut()
                .expect("there is always one")
                .push((part as f64, *value)),
            None => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    // A single value is a step, and not a point that nobody sees.
    for stretch in &mut stretches {
        if let [(part, value)] = stretch[..] {
            stretch.push((part + 0.9, value));
        }
    }
    stretches
}

/// A plot of a measure with its axes.
pub(super) fn plot(trend: &Trend, measure: Measure, values: &[Option<f64>]) -> String {
    let mut svg = String::new();
    draw(&mut svg, trend, measure, values).expect("a String takes whatever is drawn");
    svg
}

/// A plot without axes, as small as a word.
pub(super) fn small(values: &[Option<f64>]) -> String {
    let mut svg = String::new();
    draw_small(&mut svg, values).expect("a String takes whatever is drawn");
    svg
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn top(values: &[Option<f64>]) -> f64 {
    let most = values.iter().copied().flatten().fold(0.0, f64::max);
    if most > 0.0 { most * 1.05 } else { 1.0 }
}

fn draw(svg: &mut String, trend: &Trend, measure: Measure, values: &[Option<f64>]) -> Drawn {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let last = values.len().max(2) as f64 - 1.0;
    let mut chart = ChartBuilder::on(&area)
        .margin(4)
        .x_label_area_size(20)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, 0.0..top(values))?;
    let font = ("sans-serif", 14).into_font().color(&TEXT);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(TEXT.mix(0.2))
        .axis_style(TEXT.mix(0.4))
        .label_style(font)
        .x_labels(4)
        .y_labels(4)
        .x_label_formatter(&|part| label(trend, *part))
        .y_label_formatter(&|value| measured(measure, Some(*value)))
        .draw()?;
    for stretch in stretches(values) {
        let series = AreaSeries::new(stretch, 0.0, LINE.mix(0.2));
        chart.draw_series(series.border_style(LINE))?;
    }
    area.present()?;
    Ok(())
}

fn draw_small(svg: &mut String, values: &[Option<f64>]) -> Drawn {
    let area = SVGBackend::with_string(svg, SMALL).into_drawing_area();
    let last = values.len().max(2) as f64 - 1.0;
    let mut chart = ChartBuilder::on(&area).build_cartesian_2d(0.0..last, 0.0..top(values))?;
    for stretch in stretches(values) {
        let series = AreaSeries::new(stretch, 0.0, LINE.mix(0.2));
        chart.draw_series(series.border_style(LINE))?;
    }
    area.present()?;
    Ok(())
}

/// When a part begins: the time, or the day where the plot is of many.
fn label(trend: &Trend, part: f64) -> String {
    const THREE_DAYS_MS: u64 = 3 * 86_400_000;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part's number"
    )]
    let text = time_of_day(trend.begins_ms(part.max(0.0).round() as usize));
    let (day, time) = text.split_once(' ').unwrap_or((&text, ""));
    if trend.to_ms() - trend.from_ms > THREE_DAYS_MS {
        day[5..].to_owned()
    } else {
        time[..5].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_parts_a_line_and_a_single_value_is_a_step() {
        let values = [Some(1.0), Some(2.0), None, None, Some(3.0)];
        let expected: Vec<Vec<(f64, f64)>> =
            vec![vec![(0.0, 1.0), (1.0, 2.0)], vec![(4.0, 3.0), (4.9, 3.0)]];
        assert_eq!(stretches(&values), expected);
        assert!(stretches(&[None]).is_empty());
    }

    #[test]
    fn a_plot_is_svg_with_labels_of_its_measure_whatever_is_known() {
        let trend = Trend::new(1_764_165_780_000, 1_764_169_380_000, 60);
        for values in [vec![], vec![None; 60], vec![Some(2e6); 60]] {
            let svg = plot(&trend, Measure::WaitP99, &values);
            assert!(svg.starts_with("<svg"), "{svg}");
            assert!(small(&values).ends_with("</svg>\n"));
        }
        let svg = plot(&trend, Measure::WaitP99, &vec![Some(2e6); 60]);
        assert!(svg.contains("2.00 ms") && svg.contains("14:"), "{svg}");
    }
}
