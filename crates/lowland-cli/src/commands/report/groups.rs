//! Which runs can stand in one table: those of the same data, read and divided in the same way.

use std::path::Path;

use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::PartPrint;

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

/// All runs in groups, in the order of the first run of each, by their settings and test samples.
pub(super) fn groups<'a>(
    runs: impl Iterator<Item = (&'a TrainConfig, &'a PartPrint)>,
) -> Vec<Group> {
    let mut groups: Vec<((Values, PartPrint), Vec<usize>)> = Vec::new();
    for (place, (config, test)) in runs.enumerate() {
        let mut test = test.clone();
        if config.text.is_some() {
            // The checksum is that of tokens, which are another model's for the same texts.
            test.sha256.clear();
        }
        let key = (about_data(config), test);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, runs)) => runs.push(place),
            None => groups.push((key, vec![place])),
        }
    }
    let apart = |mine: &Values, test: &PartPrint| {
        let set = |values: &Values| SET.map(|key| values.get(key).cloned());
        let kin =
            || groups.iter().map(|((other, _), _)| other).filter(|other| set(other) == set(mine));
        let mut keys: Vec<&String> = kin().flat_map(Values::keys).collect();
        keys.sort();
        keys.dedup();
        let differs = |key: &&String| kin().any(|other| other.get(*key) != mine.get(*key));
        let one = |key: &String| {
            let name = key.strip_prefix("data.").unwrap_or(key);
            match mine.get(key) {
                Some(value) => format!("{name} = {value}"),
                None => format!("no {name}"),
            }
        };
        let settings = keys.into_iter().filter(differs).map(one);
        let changed = groups.iter().any(|((values, other), _)| values == mine && other != test);
        let sum: String = test.sha256.chars().take(8).collect();
        let sum = if sum.is_empty() { sum } else { format!(" of SHA-256 {sum}…") };
        let test = changed.then(|| format!("{} test samples{sum}", test.samples));
        settings.chain(test).collect::<Vec<_>>().join(", ")
    };
    let apart: Vec<String> = groups.iter().map(|((values, test), _)| apart(values, test)).collect();
    let groups = groups.into_iter().zip(apart);
    groups.map(|((_, runs), apart)| Group { runs, apart }).collect()
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
        let test = PartPrint::default();
        let groups = groups(configs.iter().map(|config| (config, &test)));
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
        let [a, b] = ["0123456789ab", "cdef01234567"].map(|sum| print(24, sum));
        let found = groups([(&image, &a), (&image, &b), (&text, &a), (&text, &b)].into_iter());
        let apart: Vec<&str> = found.iter().map(|group| group.apart.as_str()).collect();
        let expected =
            ["24 test samples of SHA-256 01234567…", "24 test samples of SHA-256 cdef0123…", ""];
        assert_eq!(apart, expected);
        assert_eq!(found[2].runs, [2, 3]);
    }

    #[test]
    fn a_folder_is_one_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let around = dir.join(".").join("x").join("..");
        std::fs::create_dir(dir.join("x")).unwrap();
        let of_dir = |dir: &Path| of(|data| data.dir = Some(dir.to_owned()));
        let configs = [of_dir(&dir), of_dir(&around), of_dir(Path::new("elsewhere"))];
        let test = PartPrint::default();
        let groups = groups(configs.iter().map(|config| (config, &test)));
        assert_eq!((groups.len(), groups[0].runs.len()), (2, 2));
        assert_eq!(groups[1].apart, "dir = elsewhere");
    }
}
