//! The subcommands, one file each.

pub(crate) mod bench;
pub(crate) mod budget;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod landscape;
pub(crate) mod list;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod sharpness;
mod split;
pub(crate) mod train;
pub(crate) mod tries;
pub(crate) mod tune;
pub(crate) mod worker;

use std::path::Path;

use anyhow::Result;

use crate::compare::summary::Summary;
use crate::files::{PAGE, SUMMARY};
use crate::report::html;
use crate::report::table;
use crate::terminal::{accented, print, say};
use crate::{files, layout};

/// Writes the summary and the page of a comparison into a folder, and prints its table, or the
/// summary as JSON.
///
/// # Errors
/// A file that cannot be written, a closed standard output.
pub(crate) fn present(summary: &Summary, folder: &Path, json: bool) -> Result<()> {
    present_as(summary, folder, (SUMMARY, PAGE), json)
}

/// The same under other names: of the summary and of the page.
///
/// # Errors
/// As [`present`].
pub(crate) fn present_as(
    summary: &Summary,
    folder: &Path,
    (name, page): (&str, &str),
    json: bool,
) -> Result<()> {
    files::make_folder(folder)?;
    let page = folder.join(page);
    let text = serde_json::to_string_pretty(summary)?;
    files::write(&folder.join(name), text.as_bytes())?;
    files::write(&page, html(summary).as_bytes())?;
    if json {
        return print(&text);
    }
    print(&accented(&table::table(summary, layout::width())))?;
    say(&format!("The report with curves: {}", page.display()))
}
