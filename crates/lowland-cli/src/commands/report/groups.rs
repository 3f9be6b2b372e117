//! Which runs can stand in one table: those of the same data, read and divided in the same way.

use std::path::Path;

use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::{Fingerprint, PartPrint};

use crate::compare::label::{Values, all_values};

/// Runs that can stand in one table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Their places.
    pub(super) runs: Vec<usize>,
    /// The settings about data in which they differ from other runs of the same data set, and their
    /// test samples where these differ with the same settings, in words; empty where nothing
    /// differs.
    pub(super) apart: String,
}

/// What names the data set.
const SET: [&str; 2] = ["data.name", "program"];

/// What runs of one group have alike.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    settings: Values,
    train: PartPrint,
    test: PartPrint,
}

impl Key {
    fn of(config: &TrainConfig, data: &Fingerprint) -> Self {
        let (mut settings, mut train) = (about_data(config), data.train.clone());
        let mut test = data.test.clone();
        if config.text.is_some() {
            // The checksum is that of tokens, which are another model's for the same texts.
            train.sha256.clear();
            test.sha256.clear();
        } else {
            // The same samples are the same wherever they lie.
            settings.remove("data.dir");
        }
        if config.data.label_noise > 0.0 {
            // Each seed has corrupted labels of its own.
            train.sha256.clear();
        }
        Self { settings, train, test }
    }
}

/// All runs in groups, in the order of the first run of each, by their settings and samples.
pub(super) fn groups<'a>(
    runs: impl Iterator<Item = (&'a TrainConfig, &'a Fingerprint)>,
) -> Vec<Group> {
    let mut groups: Vec<(Key, Vec<usize>)> = Vec::new();
    for (place, (config, data)) in runs.enumerate() {
        let key = Key::of(config, data);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, runs)) => runs.push(place),
            None => groups.push((key, vec![place])),
        }
    }
    let keys: Vec<Key> = groups.iter().map(|(key, _)| key.clone()).collect();
    let one = |(key, runs)| Group { runs, apart: apart(&key, &keys) };
    groups.into_iter().map(one).collect()
}

/// In what a group differs from others of the same data set, in words.
fn apart(mine: &Key, groups: &[Key]) -> String {
    let set = |key: &Key| SET.map(|name| key.settings.get(name).cloned());
    let kin = || groups.iter().filter(|other| set(other) == set(mine));
    let mut names: Vec<&String> = kin().flat_map(|key| key.settings.keys()).collect();
    names.sort();
    names.dedup();
    let differs =
        |name: &&String| kin().any(|other| other.settings.get(*name) != mine.settings.get(*name));
    let one = |name: &String| {
        let short = name.strip_prefix("data.").unwrap_or(name);
        match mine.settings.get(name) {
            Some(value) => format!("{short} = {value}"),
            None => format!("no {short}"),
        }
    };
    // Samples are named where the settings are the same and they are not.
    let alike = || groups.iter().filter(|other| other.settings == mine.settings);
    let parts = [
        ("training", &mine.train, alike().any(|other| other.train != mine.train)),
        ("test", &mine.test, alike().any(|other| other.test != mine.test)),
    ];
    let changed = parts.into_iter().filter(|(.., changed)| *changed).map(|(part, print, _)| {
        let sum: String = print.sha256.chars().take(8).collect();
        let sum = if sum.is_empty() { sum } else { format!(" of SHA-256 {sum}…") };
        format!("{} {part} samples{sum}", print.samples)
    });
    names.into_iter().filter(differs).map(one).chain(changed).collect::<Vec<_>>().join(", ")
}

/// The settings that decide what is learned from and tested on.
fn about_data(config: &TrainConfig) -> Values {
    let mut values = all_values(config);
    values.retain(|key, _| {
        key.starts_with("data.")
            || key.starts_with("crop.")
            || key == "text.max_length"
            || key == "program"
    });
    // One folder may be written in several ways.
    if let Some(folder) = values.get_mut("data.dir")
        && let Ok(whole) = Path::new(folder).canonicalize()
    {
        *folder = whole.display().to_string();
    }
    values
}

#[cfg(test)]
mod tests {
    use lowland_tasks::config::DataConfig;
    use lowland_tasks::data::DataName;

    use super::*;

    fn of(change: impl Fn(&mut DataConfig)) -> TrainConfig {
        let mut config = TrainConfig::default();
        change(&mut config.data);
        config
    }

    #[test]
    fn groups_are_named_by_the_settings_in_which_they_differ() {
        let (plain, limited) = (of(|_| ()), of(|data| data.train_limit = Some(200)));
        let noisy = of(|data| (data.train_limit, data.label_noise) = (Some(200), 0.3));
        let mnist = of(|data| data.name = DataName::Mnist);
        let mut other_seed = limited.clone();
        (other_seed.seed, other_seed.epochs) = (7, 3);
        let configs = [plain, limited, mnist, noisy, other_seed];
        let data = Fingerprint::default();
        let groups = groups(configs.iter().map(|config| (config, &data)));
        let group =
            |runs: &[usize], apart: &str| Group { runs: runs.to_vec(), apart: apart.into() };
        assert_eq!(
            groups,
            [
                group(&[0], "label_noise = 0.0, no train_limit"),
                group(&[1, 4], "label_noise = 0.0, train_limit = 200"),
                // The only ones of their data set.
                group(&[2], ""),
                group(&[3], "label_noise = 0.3, train_limit = 200"),
            ]
        );
    }

    #[test]
    fn test_samples_that_changed_under_the_same_settings_are_another_group() {
        let (image, mut text) = (of(|_| ()), of(|_| ()));
        text.text = Some(lowland_tasks::config::TextConfig::default());
        text.data.name = DataName::Text;
        let print = |samples, sha256: &str| PartPrint { samples, sha256: sha256.to_owned() };
        let [a, b] = ["0123456789ab", "cdef01234567"]
            .map(|sum| Fingerprint { test: print(24, sum), ..Fingerprint::default() });
        let found = groups([(&image, &a), (&image, &b), (&text, &a), (&text, &b)].into_iter());
        let apart: Vec<&str> = found.iter().map(|group| group.apart.as_str()).collect();
        let expected =
            ["24 test samples of SHA-256 01234567…", "24 test samples of SHA-256 cdef0123…", ""];
        assert_eq!(apart, expected);
        assert_eq!(found[2].runs, [2, 3]);

        // Other training samples are another group too, but for the noise of each seed.
        let [a, b] = ["0123456789ab", "cdef01234567"]
            .map(|sum| Fingerprint { train: print(9, sum), ..Fingerprint::default() });
        let found = groups([(&image, &a), (&image, &b)].into_iter());
        assert_eq!((found.len(), &*found[1].apart), (2, "9 training samples of SHA-256 cdef0123…"));
        let noisy = of(|data| data.label_noise = 0.3);
        assert_eq!(groups([(&noisy, &a), (&noisy, &b)].into_iter()).len(), 1);
    }

    #[test]
    fn the_folder_of_samples_is_of_no_matter_and_that_of_texts_is() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let around = dir.join(".").join("x").join("..");
        std::fs::create_dir(dir.join("x")).unwrap();
        let of_dir = |dir: &Path| of(|data| data.dir = Some(dir.to_owned()));
        let configs = [of_dir(&dir), of_dir(&around), of_dir(Path::new("elsewhere"))];
        let data = Fingerprint::default();
        assert_eq!(groups(configs.iter().map(|config| (config, &data))).len(), 1);
        let texts = configs.map(|config| TrainConfig {
            text: Some(lowland_tasks::config::TextConfig::default()),
            ..config
        });
        // However it is written.
        let groups = groups(texts.iter().map(|config| (config, &data)));
        assert_eq!((groups.len(), groups[0].runs.len()), (2, 2));
        assert_eq!(groups[1].apart, "dir = elsewhere");
    }
}
