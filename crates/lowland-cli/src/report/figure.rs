//! A figure: a heading, a legend with values, the picture and a caption.

use super::chart;
use super::markup::{escaped, joined, prose};
use crate::layout::csv;

/// One figure of the page.
#[derive(Debug)]
pub(super) struct Figure {
    /// What it shows, in a few words.
    pub(super) title: String,
    /// How to read it.
    pub(super) caption: String,
    /// Its series, in the order of the page.
    pub(super) legend: Vec<Entry>,
    /// The picture.
    pub(super) picture: String,
    /// What it shows, as a table.
    pub(super) data: Data,
}

/// The numbers of a figure, which can be saved from the page as CSV.
#[derive(Debug, Default)]
pub(super) struct Data {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Data {
    /// A table with these columns.
    pub(super) fn new(heads: &[&str]) -> Self {
        Self { heads: heads.iter().map(|&head| head.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The table as CSV (RFC 4180).
    fn csv(&self) -> String {
        csv(std::iter::once(&self.heads).chain(&self.rows))
    }
}

/// A number for a table: whole, and nothing where there is none.
pub(super) fn cell(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(String::new, |value| value.to_string())
}

/// A line of a legend.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which series.
    pub(super) series: usize,
    /// Its name.
    pub(super) label: String,
    /// The number to take home.
    pub(super) value: String,
}

impl Figure {
    /// The figure as HTML.
    pub(super) fn html(&self) -> String {
        let Self { title, caption, legend, picture, data } = self;
        let data = escaped(&data.csv());
        let (title, caption) = (prose(title), prose(caption));
        let legend = if legend.is_empty() {
            String::new()
        } else {
            format!("<ul class=\"legend\">{}</ul>", joined(legend.iter().map(Entry::html)))
        };
        format!(
            "<figure><h3>{title}</h3>{legend}{picture}\
             <figcaption>{caption}</figcaption><template class=\"data\">{data}</template></figure>\n"
        )
    }
}

impl Entry {
    fn html(&self) -> String {
        let Self { series, label, value } = self;
        let (swatch, label, value) = (swatch(*series), prose(label), prose(value));
        format!("<li>{swatch}<span>{label}</span> <b>{value}</b></li>")
    }
}

/// The look of a series beside its name.
pub(super) fn swatch(series: usize) -> String {
    let class = chart::class(series);
    let marker = chart::marker(series, 16.0, 7.0, 4.5);
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 32 14\" aria-hidden=\"true\">\
         <line class=\"line {class}\" x1=\"1\" x2=\"31\" y1=\"7\" y2=\"7\"/>{marker}</svg>"
    )
}
