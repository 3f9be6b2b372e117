//! What a data set holds, as numbers and in words.

use std::collections::{HashMap, HashSet};

use lowland_tasks::data::{DataName, ImageSet, ImageShape, Splits, TargetValues};
use lowland_tasks::pose::{Person, PoseSet, PoseSplits};
use lowland_tasks::text::{Text, TextCorpus, Texts};
use serde::Serialize;

use super::odd::{Samples, of_samples};
use crate::layout::{Grid, WIDTH, hanging, wrapped};
use crate::words;

/// With more classes than this, their counts are too long for a table.
const MOST_CLASSES: usize = 20;

/// One of the figures of a channel.
type Figure = fn(&Channel) -> f64;

/// What a data set holds.
#[derive(Debug, Serialize)]
pub(super) struct DataSummary {
    data: DataName,
    train: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Part>,
    test: Part,
    /// What was left out, or decided while it was read.
    remarks: Vec<String>,
    /// What is odd about it.
    odd: Vec<String>,
    /// Whether counts and training statistics are the published ones; `None` where nothing is
    /// published.
    pub(super) as_published: Option<bool>,
    /// Where they are not.
    pub(super) differences: Vec<String>,
    /// What samples and classes are called.
    #[serde(skip)]
    words: [&'static str; 2],
}

/// What one part of it holds.
#[derive(Debug, Default, Serialize)]
struct Part {
    samples: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<Channel>,
    /// The characters of a text: of the shortest, the middle one and the longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    characters: Option<[usize; 3]>,
    /// The images that people are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<usize>,
    /// Classes with their samples, or joints with the people of whom they are known.
    classes: Vec<Class>,
    /// The numbers that are looked for: the least, the mean and the largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<[f64; 3]>,
    /// Of pixels, labels and shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
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
    samples: usize,
}

fn classes(names: &[String], counts: impl IntoIterator<Item = usize>) -> Vec<Class> {
    names.iter().cloned().zip(counts).map(|(name, samples)| Class { name, samples }).collect()
}

/// A label for each of some numbers, the same for those that are alike; the last for whatever is
/// beyond 65,535 different ones.
fn alike(numbers: &[f32]) -> Vec<u16> {
    let mut known: HashMap<u32, u16> = HashMap::new();
    let label = |number: &f32| {
        let next = u16::try_from(known.len()).unwrap_or(u16::MAX);
        *known.entry(number.to_bits()).or_insert(next)
    };
    numbers.iter().map(label).collect()
}

/// The least, the mean and the largest; `None` where there are no numbers.
fn of_numbers(numbers: &[f32]) -> Option<[f64; 3]> {
    let all = || numbers.iter().copied().map(f64::from);
    let (least, largest) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
    Some([least, all().sum::<f64>() / numbers.len() as f64, largest])
}

impl DataSummary {
    pub(super) fn images(data: DataName, splits: &Splits) -> Self {
        let differences = data.published().map(|published| published.differences(splits));
        let sets = [Some(&splits.train), splits.validation.as_ref(), Some(&splits.test)];
        let files = &splits.files;
        let names =
            [("training", &files.train), ("validation", &files.validation), ("test", &files.test)];
        let samples: Vec<Samples<'_, &[u8]>> = sets
            .into_iter()
            .zip(names)
            .filter_map(|(set, (part, files))| {
                let set = set?;
                let samples = (0..set.len()).map(|i| (set.image(i), set.labels()[i])).collect();
                Some(Samples { part, samples, files })
            })
            .collect();
        let parts = sets.map(|set| set.map(Part::of_images));
        Self {
            as_published: differences.as_ref().map(Vec::is_empty),
            differences: differences.unwrap_or_default(),
            ..Self::of(data, parts, ["images", "classes"])
        }
        .with(&splits.remarks, of_samples(&samples, splits.train.classes()))
    }

    pub(super) fn people(data: DataName, splits: &PoseSplits) -> Self {
        let sets = [Some(&splits.train), splits.validation.as_ref(), Some(&splits.test)];
        let parts = sets.map(|set| set.map(Part::of_people));
        let summary = Self::of(data, parts, ["people", "joints"]);
        let unseen = |part: &Part, name: &str| {
            let joints = part.classes.iter().filter(|joint| joint.samples == 0);
            let names: Vec<&str> = joints.map(|joint| joint.name.as_str()).collect();
            (!names.is_empty()).then(|| format!("no {name} person shows {}", names.join(", ")))
        };
        let odd = [unseen(&summary.train, "training"), unseen(&summary.test, "test")];
        let mut odd: Vec<String> = odd.into_iter().flatten().collect();
        let name = |person: &Person| format!("image {}", person.image);
        let names = sets
            .map(|set| set.map_or_else(Vec::new, |set| set.people().iter().map(name).collect()));
        let samples: Vec<Samples<'_, (&[u8], _)>> = sets
            .into_iter()
            .zip(["training", "validation", "test"].into_iter().zip(&names))
            .filter_map(|(set, (part, files))| {
                let set = set?;
                let pixels = |i: usize| set.pictures().image(i);
                let bounds = |i: usize| set.people()[i].bounds.map(f64::to_bits);
                let samples = (0..set.len()).map(|i| ((pixels(i), bounds(i)), 0)).collect();
                Some(Samples { part, samples, files })
            })
            .collect();
        odd.extend(of_samples(&samples, &[]));
        summary.with(&splits.remarks, odd)
    }

    pub(super) fn texts(data: DataName, corpus: &TextCorpus) -> Self {
        let sets = [Some(&corpus.train), corpus.validation.as_ref(), Some(&corpus.test)];
        let parts = sets.map(|set| set.map(|set| Part::of_texts(set, &corpus.classes)));
        let found = if corpus.classes.is_empty() { "numbers" } else { "classes" };
        let named = sets.into_iter().zip(["training", "validation", "test"]);
        let samples = named.filter_map(|(set, part)| {
            let set = set?;
            let key = |text: &Text| (text.first.clone(), text.second.clone());
            let labels = match &set.targets {
                TargetValues::Labels(labels) => labels.clone(),
                TargetValues::Numbers(numbers) => alike(numbers),
            };
            let samples = set.texts.iter().map(key).zip(labels).collect();
            Some(Samples { part, samples, files: &[] })
        });
        let samples: Vec<Samples<'_, _>> = samples.collect();
        let mut odd = corpus.odd.clone();
        odd.extend(of_samples(&samples, &corpus.classes));
        for Samples { part, samples, .. } in &samples {
            let empty = samples.iter().filter(|((first, _), _)| first.trim().is_empty()).count();
            if empty > 0 {
                odd.push(format!(
                    "{} without a text",
                    words::counted(empty, &format!("{part} sample"))
                ));
            }
        }
        Self::of(data, parts, ["texts", found]).with(&corpus.remarks, odd)
    }

    fn of(data: DataName, parts: [Option<Part>; 3], words: [&'static str; 2]) -> Self {
        let [train, validation, test] = parts;
        Self {
            data,
            train: train.unwrap_or_default(),
            validation,
            test: test.unwrap_or_default(),
            remarks: Vec::new(),
            odd: Vec::new(),
            as_published: None,
            differences: Vec::new(),
            words,
        }
    }

    fn with(self, remarks: &[String], odd: Vec<String>) -> Self {
        Self { remarks: remarks.to_vec(), odd, ..self }
    }

    /// The parts with their names.
    fn parts(&self) -> Vec<(&'static str, &Part)> {
        let validation = self.validation.as_ref().map(|part| ("validation", part));
        [Some(("training", &self.train)), validation, Some(("test", &self.test))]
            .into_iter()
            .flatten()
            .collect()
    }

    /// All of it in lines of at most `width` characters, save for checksums and paths, which stay
    /// whole.
    pub(super) fn text(&self, width: usize) -> String {
        let mut blocks = vec![self.table().within(width)];
        let prose = width.min(WIDTH);
        blocks.extend(self.class_table().map(|table| table.within(width)));
        if self.train.classes.len() > MOST_CLASSES {
            let [samples, classes] = self.words;
            let note = format!(
                "The {samples} of each of the {} {classes} are left out here; --json lists them.",
                words::count(self.train.classes.len())
            );
            blocks.push(wrapped(&note, prose));
        }
        let sums = self
            .parts()
            .into_iter()
            .filter_map(|(name, part)| Some(format!("{name:10} {}", part.sha256.as_ref()?)));
        for (title, lines) in [
            ("SHA-256:", &sums.collect::<Vec<_>>()),
            ("Left out or decided:", &self.remarks),
            ("Unusual:", &self.odd),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| hanging("  ", line, prose)).collect();
            if !lines.is_empty() {
                blocks.push(format!("{title}\n{}", lines.join("\n")));
            }
        }
        if self.as_published == Some(true) {
            let same =
                "Counts, means and deviations of the training images are the published ones.";
            blocks.push(wrapped(same, prose));
        }
        blocks.join("\n\n")
    }

    fn table(&self) -> Grid {
        let [samples, classes] = self.words;
        let mut rows = vec![(samples.to_owned(), self.each(|part| words::count(part.samples)))];
        if self.train.images.is_some() {
            let images = |part: &Part| words::count(part.images.unwrap_or_default());
            rows.push(("images".to_owned(), self.each(images)));
        }
        if self.train.characters.is_some() {
            let characters = |part: &Part| {
                let [least, middle, most] = part.characters.unwrap_or_default().map(words::count);
                format!("{least} {middle} {most}")
            };
            rows.push(("characters: least, median, most".to_owned(), self.each(characters)));
        }
        if self.train.height.is_some() {
            let size = |part: &Part| {
                format!("{}x{}", part.width.unwrap_or_default(), part.height.unwrap_or_default())
            };
            rows.push(("width x height".to_owned(), self.each(size)));
        }
        if self.train.numbers.is_some() {
            let numbers = |part: &Part| {
                part.numbers.unwrap_or_default().map(|x| words::number(x, 2)).join(" ")
            };
            rows.push((format!("{classes}: least, mean, largest"), self.each(numbers)));
        } else {
            rows.push((classes.to_owned(), self.each(|part| words::count(part.classes.len()))));
        }
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
            if !self.train.channels.is_empty() {
                rows.push((what.to_owned(), self.each(all)));
            }
        }
        self.with_header(self.data.name(), rows)
    }

    /// The samples of each class, where they are few.
    fn class_table(&self) -> Option<Grid> {
        let few = (1..=MOST_CLASSES).contains(&self.train.classes.len());
        let row = |(index, class): (usize, &Class)| {
            let samples = |part: &Part| part.classes.get(index).map_or(0, |class| class.samples);
            (class.name.clone(), self.each(|part| words::count(samples(part))))
        };
        let rows = self.train.classes.iter().enumerate().map(row).collect();
        let what = if self.words[1] == "joints" { "joint" } else { "class" };
        few.then(|| self.with_header(what, rows))
    }

    fn each(&self, text: impl Fn(&Part) -> String) -> Vec<String> {
        self.parts().into_iter().map(|(_, part)| text(part)).collect()
    }

    fn with_header(&self, first: &str, rows: Vec<(String, Vec<String>)>) -> Grid {
        let mut grid = Grid::new().words(first);
        for (name, _) in self.parts() {
            grid = grid.numbers(name);
        }
        for (what, cells) in rows {
            grid.push([what].into_iter().chain(cells));
        }
        grid
    }
}

impl Part {
    fn of_images(set: &ImageSet) -> Self {
        let ImageShape { height, width, .. } = set.shape();
        let channels = set.channel_statistics().into_iter().map(|found| Channel {
            mean: found.mean,
            standard_deviation: found.standard_deviation,
            mean_of_bytes: found.mean * 255.0,
            standard_deviation_of_bytes: found.standard_deviation * 255.0,
        });
        Self {
            samples: set.len(),
            height: Some(height),
            width: Some(width),
            channels: channels.collect(),
            classes: classes(set.classes(), set.class_counts()),
            sha256: Some(set.sha256()),
            ..Self::default()
        }
    }

    fn of_people(set: &PoseSet) -> Self {
        let joints = set.skeleton().joints();
        let known = |joint: usize| set.people().iter().filter(move |p| p.joints[joint].is_some());
        let images: HashSet<u64> = set.people().iter().map(|person| person.image).collect();
        Self {
            samples: set.len(),
            images: Some(images.len()),
            classes: classes(joints, (0..joints.len()).map(|joint| known(joint).count())),
            sha256: Some(set.sha256()),
            ..Self::default()
        }
    }

    fn of_texts(set: &Texts, names: &[String]) -> Self {
        let mut counts = vec![0; names.len()];
        set.targets.labels().iter().for_each(|&label| counts[usize::from(label)] += 1);
        let length = |text: &Text| {
            let second = text.second.as_ref().map_or(0, |text| text.chars().count());
            text.first.chars().count() + second
        };
        let mut lengths: Vec<usize> = set.texts.iter().map(length).collect();
        lengths.sort_unstable();
        let at = |place: usize| lengths.get(place).copied().unwrap_or_default();
        let characters = [at(0), at(lengths.len() / 2), at(lengths.len().saturating_sub(1))];
        Self {
            samples: set.texts.len(),
            characters: Some(characters),
            classes: classes(names, counts),
            numbers: of_numbers(set.targets.numbers()),
            ..Self::default()
        }
    }
}
