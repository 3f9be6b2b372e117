//! `lowland data check`: what a data set holds.

mod odd;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use lowland_tasks::config::DataConfig;
use lowland_tasks::data::{DataName, Decoding, Kind};
use lowland_tasks::pose::{CropConfig, PoseSplits};

use crate::failure::Usage;
use crate::layout;
use crate::program;
use crate::settings::count;
use crate::terminal::print;
use summary::DataSummary;

/// Read a data set and print what it holds
///
/// Counts, classes, what was left out and what is odd: classes without samples, samples that are in
/// two parts or have two labels. Of images also mean and standard deviation of each channel, and a
/// checksum; of the known data sets whether these are the published figures. Where they are not,
/// the exit code is 1.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Check {
    /// The data set, as `lowland list` names it
    #[arg(value_name = "NAME")]
    name: DataName,
    /// The folder that it is read from, or the one around it that `lowland data fetch` wrote to
    /// [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The side in pixels that the images of an image-folder are brought to [default: as they are]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    image_size: Option<usize>,
    /// Turn images as their EXIF data says
    #[arg(long, value_name = "true|false", default_value_t = Decoding::default().upright, action = clap::ArgAction::Set)]
    upright: bool,
    /// The most millions of pixels that an image file may have
    #[arg(
        long,
        value_name = "N",
        value_parser = count::<u32>,
        default_value_t = Decoding::default().max_megapixels
    )]
    max_megapixels: u32,
    /// Leave damaged files, or lines of texts, out and count them
    #[arg(long)]
    skip_damaged: bool,
    /// The column of the texts in a table of text, by name or number
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// The column of the second texts of pairs
    #[arg(long, value_name = "NAME")]
    pair_column: Option<String>,
    /// The column of the labels
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Reads and prints.
    ///
    /// # Errors
    /// Files that are not there or damaged, figures that are not the published ones.
    pub(super) fn run(self) -> Result<()> {
        let summary = self.summary()?;
        if self.json {
            print(&serde_json::to_string_pretty(&summary)?)?;
        } else {
            print(&summary.text(layout::width()))?;
        }
        if summary.as_published == Some(false) {
            bail!("{} is not as it was published: {}", self.name, summary.differences.join("; "));
        }
        Ok(())
    }

    fn summary(&self) -> Result<DataSummary> {
        let &Self { name, image_size, upright, max_megapixels, skip_damaged, .. } = self;
        let default = (!name.is_embedded()).then_some(Path::new("data"));
        let data_dir = self.data_dir.as_deref().or(default);
        if let Some(folder) = data_dir.filter(|_| name.is_embedded()) {
            bail!(Usage(format!(
                "--data-dir must be left out with {name}, which needs no folder; for images of your \
                 own: {} image-folder --data-dir {}",
                program::command("data check"),
                folder.display()
            )));
        }
        let config = DataConfig {
            name,
            image_size,
            upright,
            max_megapixels,
            skip_damaged,
            text_column: self.text_column.clone(),
            pair_column: self.pair_column.clone(),
            label_column: self.label_column.clone(),
            ..DataConfig::default()
        };
        config.check()?;
        let folder = config.folder();
        Ok(match name.kind() {
            Kind::Images => DataSummary::images(name, &name.load_with(data_dir, &folder)?),
            Kind::People => {
                let (path, crop) = (name.folder(data_dir)?, CropConfig::default());
                let splits = PoseSplits::read_with(&path, &crop, &folder.decoding, skip_damaged);
                let splits = splits.map_err(|error| name.with_way(error, data_dir))?;
                DataSummary::people(name, &splits)
            }
            Kind::Texts(kind) => {
                let (path, columns) = (name.folder(data_dir)?, config.columns());
                let corpus = kind.corpus(&path, &columns, skip_damaged);
                let corpus = corpus.map_err(|error| name.with_way(error, data_dir))?;
                DataSummary::texts(name, &corpus)
            }
            Kind::Own => bail!(Usage(format!("{name} is no data set that is read from a folder"))),
        })
    }
}
