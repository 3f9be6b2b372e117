//! In what two configurations differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::TrainConfig;

impl TrainConfig {
    /// The settings that are others in `now`, in words, such as `epochs was 3 and is 5`. Those that
    /// have no part in what comes out of a run are left out: the number of workers, the device,
    /// checkpoints, the
    /// folder of the data.
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let (then, now) = (self.values(), now.values());
        let absent = serde_json::Value::Null;
        let change = |name: &String| {
            let was = then.get(name).unwrap_or(&absent);
            let is = now.get(name).unwrap_or(&absent);
            let in_words = |value: &serde_json::Value| match value {
                serde_json::Value::Null => "unset".to_owned(),
                value => value.to_string(),
            };
            (was != is).then(|| format!("{name} was {} and is {}", in_words(was), in_words(is)))
        };
        names(&then, &now).into_iter().filter_map(change).collect()
    }

    /// The names of the settings that are others in `other`, such as `optimizer.weight_decay`;
    /// those that have no part in what comes out of a run are left out.
    pub fn settings_beside(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.values(), other.values());
        let names = names(&mine, &theirs).into_iter();
        names.filter(|name| mine.get(*name) != theirs.get(*name)).cloned().collect()
    }

    /// The settings that have a part in what comes out of a run, by their paths.
    pub(crate) fn values(&self) -> Values {
        let mut config = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = config.as_object_mut() {
            fields.retain(|field, _| !APART.contains(&field.as_str()));
        }
        let mut values = Values::new();
        flatten(String::new(), config, &mut values);
        // Data that moved is the same data: checksums say so.
        values.remove("data.dir");
        values
    }
}

/// Settings that have no part in what comes out of a run.
const APART: [&str; 4] = ["workers", "device", "sharpness_every", "checkpoints"];

/// Settings by their paths.
pub(crate) type Values = BTreeMap<String, serde_json::Value>;

fn names<'a>(a: &'a Values, b: &'a Values) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

/// The leaves of a tree of settings, by their paths.
fn flatten(path: String, value: serde_json::Value, into: &mut Values) {
    let beneath =
        |key: &dyn Display| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                flatten(beneath(&key), value, into);
            }
        }
        serde_json::Value::Array(items) => {
            for (i, value) in items.into_iter().enumerate() {
                flatten(beneath(&i), value, into);
            }
        }
        value => {
            into.insert(path, value);
        }
    }
}
