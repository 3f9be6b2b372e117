//! `lowland data check`: what a data set holds.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use comfy_table::{CellAlignment, Table};
use lowland_tasks::data::{DataName, ImageSet, ImageShape, Kind, Splits};
use serde::Serialize;

use crate::terminal::print;
use crate::words;

/// With more classes than this, their counts are too long for a table.
const MOST_CLASSES: usize = 20;

/// Read a data set and print what it holds
///
/// Counts, classes, mean and standard deviation of each channel, and a checksum; of the known data
/// sets also whether these are the published figures. Where they are not, the exit code is 1.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The data set
    #[arg(value_name = "NAME", value_parser = known())]
    name: DataName,
    /// The folder that it is read from, or the one around it that `lowland data fetch` wrote to
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// The side in pixels that the images of an image-folder are brought to [default: as they are]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    image_size: Option<usize>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn known() -> impl TypedValueParser<Value = DataName> {
    let images = DataName::ALL.into_iter().filter(|data| data.kind() == Kind::Images);
    PossibleValuesParser::new(images.map(DataName::name)).try_map(|name| name.parse::<DataName>())
}

/// One of the figures of a channel.
type Figure = fn(&Channel) -> f64;

/// What a data set holds.
#[derive(Debug, Serialize)]
struct Held {
    data: DataName,
    train: Part,
    test: Part,
    /// Whether counts and training statistics are the published ones; `None` where nothing is
    /// published.
    as_published: Option<bool>,
    /// Where they are not.
    differences: Vec<String>,
}

/// What one part of it holds.
#[derive(Debug, Serialize)]
struct Part {
    images: usize,
    height: usize,
    width: usize,
    channels: Vec<Channel>,
    classes: Vec<Class>,
    /// Of pixels, labels and shape.
    sha256: String,
}

/// A colour, with pixels counted from 0 to 1 and from 0 to 255.
#[derive(Debug, Serialize)]
struct Channel {
    mean: f64,
    standard_deviation: f64,
    mean_of_bytes: f64,
    standard_deviation_of_bytes: f64,
}

#[derive(Debug, Serialize)]
struct Class {
    name: String,
    images: usize,
}

impl Check {
    /// Reads and prints.
    ///
    /// # Errors
    /// Files that are not there or damaged, figures that are not the published ones.
    pub(super) fn run(self) -> Result<()> {
        let splits = self.name.load_sized(Some(&self.data_dir), self.image_size)?;
        let held = Held::of(self.name, &splits);
        if self.json {
            print(&serde_json::to_string_pretty(&held)?)?;
        } else {
            print(&held.text())?;
        }
        if held.as_published == Some(false) {
            bail!("{} is not as it was published: {}", self.name, held.differences.join("; "));
        }
        Ok(())
    }
}

impl Held {
    fn of(data: DataName, splits: &Splits) -> Self {
        let differences = data.published().map(|published| published.differences(splits));
        Self {
            data,
            train: Part::of(&splits.train),
            test: Part::of(&splits.test),
            as_published: differences.as_ref().map(Vec::is_empty),
            differences: differences.unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        let mut text = self.table().to_string();
        let counts = self.class_table();
        let sums = [("training", &self.train), ("test", &self.test)];
        let sums = sums.map(|(part, held)| format!("SHA-256 of the {part} set: {}", held.sha256));
        let published = (self.as_published == Some(true)).then(|| {
            "Counts, means and deviations of the training images are the published ones.".to_owned()
        });
        for more in counts.into_iter().chain([sums.join("\n")]).chain(published) {
            text.push_str("\n\n");
            text.push_str(&more);
        }
        text
    }

    fn table(&self) -> Table {
        let mut rows = vec![
            ("images".to_owned(), self.each(|part| words::count(part.images))),
            (
                "width x height".to_owned(),
                self.each(|part| format!("{}x{}", part.width, part.height)),
            ),
            ("classes".to_owned(), self.each(|part| words::count(part.classes.len()))),
        ];
        let numbers: [(&str, usize, Figure); 4] = [
            ("mean, 0 to 1", 4, |channel| channel.mean),
            ("deviation, 0 to 1", 4, |channel| channel.standard_deviation),
            ("mean, 0 to 255", 3, |channel| channel.mean_of_bytes),
            ("deviation, 0 to 255", 3, |channel| channel.standard_deviation_of_bytes),
        ];
        for (what, decimals, number) in numbers {
            let all = |part: &Part| {
                let numbers = part.channels.iter().map(number);
                numbers.map(|n| words::number(n, decimals)).collect::<Vec<_>>().join(" ")
            };
            rows.push((what.to_owned(), self.each(all)));
        }
        table([self.data.name(), "training", "test"], rows)
    }

    /// The images of each class, where they are few.
    fn class_table(&self) -> Option<String> {
        let few = self.train.classes.len() <= MOST_CLASSES;
        let classes = self.train.classes.iter().zip(&self.test.classes);
        let row = |(train, test): (&Class, &Class)| {
            (train.name.clone(), [train, test].map(|class| words::count(class.images)))
        };
        few.then(|| table(["class", "training", "test"], classes.map(row).collect()).to_string())
    }

    fn each(&self, text: impl Fn(&Part) -> String) -> [String; 2] {
        [text(&self.train), text(&self.test)]
    }
}

impl Part {
    fn of(set: &ImageSet) -> Self {
        let ImageShape { height, width, .. } = set.shape();
        let channels = set.channel_statistics().into_iter().map(|found| Channel {
            mean: found.mean,
            standard_deviation: found.standard_deviation,
            mean_of_bytes: found.mean * 255.0,
            standard_deviation_of_bytes: found.standard_deviation * 255.0,
        });
        let classes = set.classes().iter().zip(set.class_counts());
        Self {
            images: set.len(),
            height,
            width,
            channels: channels.collect(),
            classes: classes.map(|(name, images)| Class { name: name.clone(), images }).collect(),
            sha256: set.sha256(),
        }
    }
}

fn table(header: [&str; 3], rows: Vec<(String, [String; 2])>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    for (what, [train, test]) in rows {
        table.add_row([what, train, test]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
