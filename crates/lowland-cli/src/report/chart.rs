//! A chart as SVG, drawn with the page's own colours.
//!
//! Written by hand and not with a plotting crate: such crates write fixed colours and fixed text
//! into the picture, and this page wants its picture to follow the reader's light or dark mode, to
//! grow its letters on a phone, and to answer to the pointer. All of that is CSS, as long as the
//! SVG carries classes. A series is the class `s0`, `s1` and so on, which sets colour and dash.

use std::fmt::Write as _;

use super::markup::{escaped, joined};
use super::scale::Scale;

/// Width of the drawing in its own units.
pub(super) const WIDTH: f64 = 480.0;
/// Height of the drawing in its own units.
pub(super) const HEIGHT: f64 = 312.0;
/// The horizontal ends of the field, with room for ticks on its left.
pub(super) const ACROSS: (f64, f64) = (52.0, 464.0);
/// The vertical ends of the field, lowest value first, with room for ticks below.
pub(super) const UPWARD: (f64, f64) = (260.0, 34.0);

/// How many shades a map has.
pub(super) const SHADES: usize = 12;

/// How many series look different from each other.
const LOOKS: usize = 8;

/// A chart in the making.
#[derive(Debug)]
pub(super) struct Chart {
    x: Scale,
    y: Scale,
    body: String,
}

impl Chart {
    /// A field with lines across it at the round numbers of `y`.
    pub(super) fn new(x: Scale, y: Scale) -> Self {
        let mut body = String::new();
        let (left, right) = ACROSS;
        for (place, text) in y.ticks() {
            let _ = write!(
                body,
                r#"<line class="grid" x1="{left}" x2="{right}" y1="{place:.1}" y2="{place:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#,
                left - 8.0,
                place + 4.5,
            );
        }
        Self { x, y, body }
    }

    /// Round numbers under the field.
    pub(super) fn x_ticks(mut self) -> Self {
        let bottom = UPWARD.0;
        for (place, text) in self.x.ticks() {
            let _ = write!(
                self.body,
                r#"<line class="axis" x1="{place:.1}" x2="{place:.1}" y1="{bottom}" y2="{:.1}"/><text class="tick" x="{place:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
                bottom + 5.0,
                bottom + 21.0,
            );
        }
        self
    }

    /// What the axes measure: above the field and under it.
    pub(super) fn axis_names(mut self, x: &str, y: &str) -> Self {
        let (left, right) = ACROSS;
        let bottom = UPWARD.0;
        let _ = write!(
            self.body,
            r#"<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/><text class="name" x="4" y="15">{}</text><text class="name" x="{right}" y="{:.1}" text-anchor="end">{}</text>"#,
            escaped(y),
            HEIGHT - 8.0,
            escaped(x),
        );
        self
    }

    /// A shaded band between two values at each x.
    pub(super) fn band(&mut self, series: usize, edges: &[(f64, f64, f64)]) {
        if edges.len() < 2 {
            return;
        }
        let upper = edges.iter().map(|&(x, _, high)| self.point(x, high));
        let lower = edges.iter().rev().map(|&(x, low, _)| self.point(x, low));
        let points: Vec<String> = upper.chain(lower).collect();
        let points = points.join(" ");
        let class = class(series);
        let _ = write!(self.body, r#"<polygon class="band {class}" points="{points}"/>"#);
    }

    /// A line through points; `kind` is its CSS class.
    pub(super) fn line(&mut self, series: usize, kind: &str, points: &[(f64, f64)]) {
        if points.len() < 2 {
            return;
        }
        let points: Vec<String> = points.iter().map(|&(x, y)| self.point(x, y)).collect();
        let points = points.join(" ");
        let class = class(series);
        let _ = write!(self.body, r#"<polyline class="{kind} {class}" points="{points}"/>"#);
    }

    /// The marker of a series at a point.
    pub(super) fn marker(&mut self, series: usize, x: f64, y: f64) {
        let marker = marker(series, self.x.at(x), self.y.at(y), 4.5);
        self.body.push_str(&marker);
    }

    /// A level bar between two pixels at a pixel's height.
    pub(super) fn level_bar(&mut self, series: usize, across: (f64, f64), y: f64) {
        let (left, right) = across;
        let class = class(series);
        let _ = write!(
            self.body,
            r#"<line class="mean {class}" x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/>"#
        );
    }

    /// Words in the field, at a pixel.
    pub(super) fn text(&mut self, kind: &str, place: (f64, f64), anchor: &str, words: &str) {
        let (x, y) = place;
        let words = escaped(words);
        let _ = write!(
            self.body,
            r#"<text class="{kind}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
        );
    }

    /// A part of the field that shows its values when the pointer is on it. `series` are the looks
    /// of its lines after the first.
    pub(super) fn readout(&mut self, area: Area, series: &[usize], lines: &[String]) {
        let Area { x, y, width, height, at } = area;
        let looks: Vec<String> = series.iter().map(|series| class(*series)).collect();
        let looks = looks.join(" ");
        let lines = escaped(&lines.join("\n"));
        let _ = write!(
            self.body,
            r#"<rect class="hit" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" data-at="{at:.1}" data-looks="{looks}"><title>{lines}</title></rect>"#
        );
    }

    /// A part of a map in one of its shades, which shows its values when the pointer is on it.
    pub(super) fn cell(&mut self, area: Area, shade: usize, lines: &[String]) {
        let Area { x, y, width, height, at } = area;
        let lines = escaped(&lines.join("\n"));
        let _ = write!(
            self.body,
            r#"<rect class="hit cell q{shade}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" data-at="{at:.1}" data-looks=""><title>{lines}</title></rect>"#
        );
    }

    /// The pixel of an x.
    pub(super) fn x_at(&self, x: f64) -> f64 {
        self.x.at(x)
    }

    /// The pixel of a y.
    pub(super) fn y_at(&self, y: f64) -> f64 {
        self.y.at(y)
    }

    /// The picture, named and described for those who cannot see it.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let Self { body, .. } = self;
        let (title, description) = (escaped(title), escaped(description));
        format!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}. {description}">{body}</svg>"#
        )
    }

    fn point(&self, x: f64, y: f64) -> String {
        format!("{:.1},{:.1}", self.x.at(x), self.y.at(y))
    }
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    /// Its left edge.
    pub(super) x: f64,
    /// Its upper edge.
    pub(super) y: f64,
    /// How far it reaches to the right.
    pub(super) width: f64,
    /// How far it reaches downward.
    pub(super) height: f64,
    /// The horizontal pixel that it stands for.
    pub(super) at: f64,
}

impl Area {
    /// A square around a pixel, large enough for a finger.
    pub(super) fn around(x: f64, y: f64) -> Self {
        Self { x: x - 12.0, y: y - 12.0, width: 24.0, height: 24.0, at: x }
    }

    /// The column of the field halfway to the neighbours of its pixel.
    pub(super) fn column(before: f64, x: f64, after: f64) -> Self {
        let (low, high) = (f64::midpoint(before, x), f64::midpoint(x, after));
        let (bottom, top) = UPWARD;
        Self { x: low, y: top, width: (high - low).max(1.0), height: bottom - top, at: x }
    }

    /// Whether two rectangles share a pixel.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}

/// The CSS class of a series.
pub(super) fn class(series: usize) -> String {
    format!("s{}", series % LOOKS)
}

/// The marker of a series: a shape of its own, so that series differ in more than colour.
pub(super) fn marker(series: usize, x: f64, y: f64, size: f64) -> String {
    // Corners in units of `size`, chosen so that all shapes look about equally heavy.
    let corners: &[(f64, f64)] = match series % LOOKS {
        0 => &[],
        1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => &[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
        3 => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        4 => &[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
        5 => &[(-1.2, -0.55), (1.2, -0.55), (1.2, 0.55), (-1.2, 0.55)],
        6 => &[(-0.55, -1.2), (0.55, -1.2), (0.55, 1.2), (-0.55, 1.2)],
        _ => &[(-1.0, -1.0), (0.0, -0.35), (1.0, -1.0), (0.4, 0.0), (1.0, 1.0), (-1.0, 1.0)],
    };
    let class = class(series);
    if corners.is_empty() {
        return format!(r#"<circle class="mark {class}" cx="{x:.1}" cy="{y:.1}" r="{size:.1}"/>"#);
    }
    let points = joined(
        corners
            .iter()
            .map(|(across, down)| format!("{:.1},{:.1} ", x + across * size, y + down * size)),
    );
    format!(r#"<polygon class="mark {class}" points="{}"/>"#, points.trim_end())
}
