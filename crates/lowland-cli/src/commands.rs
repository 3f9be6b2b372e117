//! The subcommands, one file each.

pub mod bench;
pub mod compare;
pub mod data;
pub mod demo;
pub mod landscape;
pub mod list;
pub mod report;
pub mod resume;
pub mod sharpness;
pub mod train;
pub mod worker;

use std::path::Path;

use anyhow::Result;

use crate::compare::summary::Summary;
use crate::compare::{PAGE, SUMMARY};
use crate::report::html;
use crate::terminal::print;
use crate::{files, table};

/// Writes the summary and the page of a comparison into a folder, and prints its table, or the summary as JSON.
///
/// # Errors
/// A file that cannot be written, a closed standard output.
pub fn present(summary: &Summary, folder: &Path, json: bool) -> Result<()> {
    files::make_folder(folder)?;
    let page = folder.join(PAGE);
    let text = serde_json::to_string_pretty(summary)?;
    files::write(&folder.join(SUMMARY), text.as_bytes())?;
    files::write(&page, html(summary).as_bytes())?;
    if json {
        return print(&text);
    }
    print(&table::table(summary))?;
    print(&format!("\nThe report with curves: {}", page.display()))
}
