//! The settings that a search tries: from lists and ranges of values to one name for each setting.

use anyhow::{Result, bail};
use lowland::Algorithm;
use toml::Table;

use crate::failure::Usage;
use crate::settings::{SettingFlags, UNKNOWN};

/// How many times its own radius an algorithm is tried with, where nothing else is asked for.
const RADII: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

/// The most values that a range is made of.
const MOST_VALUES: usize = 100;

/// Settings to try.
#[derive(Debug, PartialEq)]
pub(crate) struct Expanded {
    /// For each algorithm, the names of its settings, such as `sam:rho=0.1`.
    pub names: Vec<Vec<String>>,
    /// What is tried with some algorithms and does not apply to others, in words.
    pub notes: Vec<String>,
}

/// What `--try` holds.
#[derive(Debug)]
struct Try<'a> {
    text: &'a str,
    /// The algorithm that it is for; `None` for all that have the setting.
    algorithm: Option<&'a str>,
    key: &'a str,
    values: Vec<String>,
}

/// The settings that `tries` ask for, of all `algorithms`.
///
/// # Errors
/// What is not `KEY=VALUES`, an empty or reversed range, a setting that no algorithm has, a value
/// that is out of range.
pub(crate) fn expanded(
    settings: &SettingFlags,
    algorithms: &[String],
    tries: &[String],
) -> Result<Expanded> {
    let tries = tries.iter().map(|text| Try::parse(text)).collect::<Result<Vec<_>>>()?;
    let mut applied = vec![0; tries.len()];
    let mut refusals = vec![String::new(); tries.len()];
    let (mut names, mut notes) = (Vec::new(), Vec::new());
    for algorithm in algorithms {
        // What is wrong without a try is not the try's.
        settings.resolve_among(algorithm)?;
        let own = name(algorithm);
        let mut all = vec![algorithm.clone()];
        let mut lacks = Vec::new();
        for (place, one) in tries.iter().enumerate() {
            if one.algorithm.is_some_and(|other| other != own) || has(algorithm, one.key) {
                continue;
            }
            if let Some(refusal) = one.refusal(settings, algorithm)? {
                lacks.push(one.key);
                refusals[place] = refusal;
                continue;
            }
            applied[place] += 1;
            let with = |name: &String| -> Vec<String> {
                one.values.iter().map(|value| format!("{name}:{}={value}", one.key)).collect()
            };
            all = all.iter().flat_map(with).collect();
        }
        if !lacks.is_empty() {
            notes.push(format!("{own} has no {}: it is tried without", lacks.join(", ")));
        }
        if tries.is_empty() {
            all = with_radii(algorithm);
        }
        names.push(all);
    }
    if let Some(place) = applied.iter().position(|count| *count == 0) {
        bail!(Usage(format!(
            "--try {} applies to none of the algorithms: {}{}",
            tries[place].text,
            algorithms.join(", "),
            meant(&refusals[place])
        )));
    }
    Ok(Expanded { names, notes })
}

/// What was probably meant by a setting, as the last algorithm's refusal has it.
fn meant(refusal: &str) -> &str {
    refusal.find("; did you mean").map_or("", |start| &refusal[start..])
}

/// The algorithm with its own radius and larger ones, where it has a radius that is not given.
fn with_radii(algorithm: &str) -> Vec<String> {
    let settings = Algorithm::named(name(algorithm)).and_then(|one| Table::try_from(one).ok());
    let rho = settings.and_then(|table| table.get("rho")?.as_float());
    match rho.filter(|_| !has(algorithm, "rho")) {
        Some(rho) => {
            RADII.iter().map(|times| format!("{algorithm}:rho={}", rounded(times * rho))).collect()
        }
        None => vec![algorithm.to_owned()],
    }
}

fn name(algorithm: &str) -> &str {
    algorithm.split(':').next().unwrap_or_default()
}

/// Whether a setting is given with the algorithm's name.
fn has(algorithm: &str, key: &str) -> bool {
    let mut given = algorithm.split(':').skip(1).filter_map(|part| part.split_once('='));
    given.any(|(name, _)| name == key)
}

/// A number with three digits that count, as it is typed.
fn rounded(value: f64) -> String {
    let digits = format!("{value:.2e}");
    digits.parse::<f64>().map_or(digits, |value| value.to_string())
}

impl<'a> Try<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let wrong = || Usage(format!("--try {text:?} must look like KEY=VALUES"));
        let (key, values) = text.split_once('=').ok_or_else(wrong)?;
        let (algorithm, key) = match key.rsplit_once(':') {
            Some((algorithm, key)) => (Some(algorithm), key),
            None => (None, key),
        };
        if key.is_empty() || values.is_empty() {
            bail!(wrong());
        }
        let values = match values.split_once("..") {
            Some((low, rest)) => range(text, low, rest)?,
            None => values.split(',').map(str::to_owned).collect(),
        };
        Ok(Self { text, algorithm, key, values })
    }

    /// Why an algorithm does not have the setting; `None` where it has.
    fn refusal(&self, settings: &SettingFlags, algorithm: &str) -> Result<Option<String>> {
        let Some(first) = self.values.first() else { return Ok(Some(String::new())) };
        let tried = settings.resolve_among(&format!("{algorithm}:{}={first}", self.key));
        let Err(error) = tried else { return Ok(None) };
        let unsupported = matches!(
            error.downcast_ref(),
            Some(lowland_tasks::Error::Algorithm(lowland::Error::Unsupported { .. }))
        );
        if unsupported || error.to_string().contains(UNKNOWN) {
            return Ok(Some(error.to_string()));
        }
        Err(error)
    }
}

/// The values of a range, both ends included, at equal ratios.
fn range(text: &str, low: &str, rest: &str) -> Result<Vec<String>> {
    let wrong = |why: String| Usage(format!("--try {text:?}: {why}"));
    let (high, count) = match rest.split_once('/') {
        Some((high, count)) => (high, Some(count)),
        None => (rest, None),
    };
    let end = |end: &str| {
        let value = end.parse::<f64>().ok().filter(|value| *value > 0.0 && value.is_finite());
        value
            .ok_or_else(|| wrong(format!("the ends of a range are numbers above 0, found {end:?}")))
    };
    let (low, high) = (end(low)?, end(high)?);
    if low >= high {
        bail!(wrong("a range goes from a lower to a higher value".to_owned()));
    }
    let count = match count {
        Some(count) => count
            .parse::<usize>()
            .ok()
            .filter(|count| (2..=MOST_VALUES).contains(count))
            .ok_or_else(|| {
                wrong(format!("a range has 2 to {MOST_VALUES} values, found {count:?}"))
            })?,
        // The steps that are closest to doubling.
        None => (1..MOST_VALUES)
            .take_while(|steps| *steps as f64 - 0.5 <= (high / low).log2())
            .last()
            .unwrap_or(1)
            .saturating_add(1),
    };
    let ratio = (high / low).powf(1.0 / (count - 1) as f64);
    let value = |place: usize| match place {
        0 => low,
        _ if place == count - 1 => high,
        _ => low * ratio.powf(place as f64),
    };
    Ok((0..count).map(|place| rounded(value(place))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(algorithms: &[&str], tries: &[&str]) -> Result<Expanded> {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        expanded(&SettingFlags::default(), &own(algorithms), &own(tries))
    }

    #[test]
    fn values_and_ranges_become_names() {
        let found = expand(&["sgd", "sam"], &["rho=0.05..0.4"]).unwrap();
        let sam = ["sam:rho=0.05", "sam:rho=0.1", "sam:rho=0.2", "sam:rho=0.4"];
        assert_eq!(found.names, [vec!["sgd".to_owned()], sam.map(str::to_owned).to_vec()]);
        assert_eq!(found.notes, ["sgd has no rho: it is tried without"]);
        assert_eq!(expand(&["sgd", "sam"], &[]).unwrap().names, found.names, "the default");

        let found = expand(&["sgd", "sam", "arsam:rho=0.3"], &["lr=0.1,0.2", "sam:rho=1..100/3"]);
        let found = found.unwrap();
        assert_eq!(found.names[0], ["sgd:lr=0.1", "sgd:lr=0.2"]);
        assert_eq!(found.names[1].len(), 6);
        assert_eq!(found.names[1][3], "sam:lr=0.2:rho=1");
        assert_eq!(found.names[1][4], "sam:lr=0.2:rho=10");
        assert_eq!(found.names[2], ["arsam:rho=0.3:lr=0.1", "arsam:rho=0.3:lr=0.2"]);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        let own = expand(&["sgd", "sam:rho=0.7"], &[]).unwrap();
        assert_eq!(own.names[1], ["sam:rho=0.7"], "a radius that is given is not searched");
    }

    #[test]
    fn what_cannot_be_tried_is_an_error() {
        for (text, expected) in [
            ("rho", "must look like KEY=VALUES"),
            ("rho=", "must look like KEY=VALUES"),
            ("rho=0.4..0.1", "from a lower to a higher value"),
            ("rho=0..1", "numbers above 0, found \"0\""),
            ("rho=1..2/1", "2 to 100 values, found \"1\""),
            ("rhoo=1,2", "applies to none of the algorithms: sgd, sam; did you mean \"rho\"?"),
            ("rho=-1", "rho must be finite and at least 0, found -1"),
        ] {
            let error = expand(&["sgd", "sam"], &[text]).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
