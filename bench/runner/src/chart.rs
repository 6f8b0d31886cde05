//! Draws charts as SVG.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::{
    chart::ChartBuilder,
    coord::{Shift, combinators::IntoLogRange as _},
    drawing::{DrawingArea, IntoDrawingArea as _},
    element::{Circle, PathElement, Rectangle, Text},
    series::LineSeries,
    style::{
        Color as _, IntoFont as _, RGBColor, ShapeStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::results::Spread;

const WIDTH: u32 = 760;
const FONT: &str = "sans-serif";
const TEXT: RGBColor = RGBColor(51, 51, 51);

/// A line or a bar of a chart.
pub(super) struct Series {
    pub(super) peer: String,
    pub(super) name: String,
    /// The position on the horizontal axis, and the measured value.
    pub(super) points: Vec<(f64, Spread)>,
}

/// Draws one line for each series, on logarithmic axes.
pub(super) fn lines(path: &Path, title: &str, axes: [&str; 2], series: &[Series]) -> Result<()> {
    let points = || series.iter().flat_map(|one| &one.points);
    let over = |value: fn(&(f64, Spread)) -> f64| {
        let range = points()
            .map(value)
            .fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(value), max.max(value)));
        (range.0 / 1.5, range.1 * 1.5)
    };
    let (x, y) = (over(|point| point.0), over(|point| point.1.median));
    let area = SVGBackend::new(path, (WIDTH, 440)).into_drawing_area();
    draw(&area, title, |area| {
        let (area, legend) = area.split_horizontally(WIDTH - 230);
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .label_style((FONT, 13).into_font().color(&TEXT))
            .x_desc(axes[0])
            .y_desc(axes[1])
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .draw()
            .map_err(failed)?;
        for (index, one) in series.iter().enumerate() {
            let colour = colour(&one.peer);
            let line = one.points.iter().map(|(x, spread)| (*x, spread.median));
            let width = if one.peer == "sdk" { 3 } else { 2 };
            let style = ShapeStyle::from(colour).stroke_width(width);
            chart.draw_series(LineSeries::new(line.clone(), style)).map_err(failed)?;
            let dots = line.map(|point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots).map_err(failed)?;
            let ranges = one.points.iter().map(|(x, spread)| {
                PathElement::new(vec![(*x, spread.min), (*x, spread.max)], colour)
            });
            chart.draw_series(ranges).map_err(failed)?;
            let top = 20 + 22 * i32::try_from(index)?;
            legend
                .draw(&Rectangle::new([(0, top), (14, top + 10)], colour.filled()))
                .map_err(failed)?;
            let text =
                Text::new(one.name.clone(), (20, top - 1), (FONT, 13).into_font().color(&TEXT));
            legend.draw(&text).map_err(failed)?;
        }
        Ok(())
    })
}

/// Draws one bar for each series' first point.
pub(super) fn bars(path: &Path, title: &str, unit: &str, series: &[Series]) -> Result<()> {
    const LEFT: i32 = 215;
    const BAR: i32 = 26;
    let values = || series.iter().filter_map(|one| Some((one, one.points.first()?.1)));
    let longest = values().map(|(_, spread)| spread.max).fold(f64::MIN_POSITIVE, f64::max);
    let height = 60 + u32::try_from(BAR)? * u32::try_from(series.len())?;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    draw(&area, title, |area| {
        let room = f64::from(WIDTH) - f64::from(LEFT) - 130.0;
        // The length of a bar is far below `i32::MAX`.
        #[allow(clippy::cast_possible_truncation)]
        let at = |value: f64| LEFT + (value / longest * room) as i32;
        for (index, (one, spread)) in values().enumerate() {
            let top = 6 + BAR * i32::try_from(index)?;
            let middle = top + BAR / 2 - 3;
            let colour = colour(&one.peer);
            let style = |horizontal| {
                let font = (FONT, 13).into_font().color(&TEXT);
                font.pos(Pos::new(horizontal, VPos::Center))
            };
            let bar = Rectangle::new(
                [(LEFT, top), (at(spread.median).max(LEFT + 1), top + BAR - 6)],
                colour.filled(),
            );
            area.draw(&bar).map_err(failed)?;
            let range =
                PathElement::new(vec![(at(spread.min), middle), (at(spread.max), middle)], TEXT);
            area.draw(&range).map_err(failed)?;
            let name = Text::new(one.name.clone(), (LEFT - 8, middle), style(HPos::Right));
            area.draw(&name).map_err(failed)?;
            let value = format!("{} {unit}", number(spread.median));
            let value = Text::new(value, (at(spread.max) + 8, middle), style(HPos::Left));
            area.draw(&value).map_err(failed)?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(area: &Area<'_>, title: &str, content: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    area.fill(&WHITE).map_err(failed)?;
    let title_style = (FONT, 17).into_font().color(&TEXT);
    content(&area.titled(title, title_style).map_err(failed)?)?;
    area.present().map_err(failed)
}

/// The colour of a peer, the same in all charts.
fn colour(peer: &str) -> RGBColor {
    let colours = BTreeMap::from([
        ("sdk", RGBColor(214, 39, 40)),
        ("sdk-ahead", RGBColor(255, 127, 14)),
        ("sdk-grpc", RGBColor(227, 119, 194)),
        ("tonic", RGBColor(31, 119, 180)),
        ("floor", RGBColor(127, 127, 127)),
        ("rust", RGBColor(140, 86, 75)),
        ("rust-nodelay", RGBColor(196, 156, 148)),
        ("rsgrpc", RGBColor(140, 140, 200)),
        ("js", RGBColor(188, 189, 34)),
        ("grpc", RGBColor(23, 190, 207)),
        ("wasm", RGBColor(148, 103, 189)),
        ("python", RGBColor(44, 160, 44)),
    ]);
    colours.get(peer).copied().unwrap_or(TEXT)
}

/// A number with three significant digits, or with commas.
pub(super) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1000.0 {
        let digits = format!("{value:.0}");
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 && !grouped.ends_with('-') {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return grouped;
    }
    let decimals = match magnitude {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a chart cannot be drawn: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits_or_commas() {
        let numbers =
            [(1_234_567.8, "1,234,568"), (999.6, "1000"), (123.4, "123"), (12.34, "12.3")];
        for (value, text) in numbers {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(1.0), "1");
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn charts_show_names_and_values() {
        let folder = tempfile::tempdir().unwrap();
        let spread = Spread { median: 20.0, min: 10.0, max: 30.0 };
        let series =
            |points| [Series { peer: "sdk".to_owned(), name: "this SDK".to_owned(), points }];
        let path = folder.path().join("bars.svg");
        bars(&path, "A title", "MB/s", &series(vec![(1.0, spread)])).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        for part in ["A title", "this SDK", "20 MB/s"] {
            assert!(text.contains(part), "{text}");
        }
        let path = folder.path().join("lines.svg");
        lines(&path, "A title", ["x", "y"], &series(vec![(1.0, spread), (64.0, spread)])).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("this SDK") && text.contains("<polyline"), "{text}");
    }
}
