//! What goes with weights that are written for readers elsewhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The entry of a file's metadata that says which version of Lowland wrote it.
pub const WRITTEN_BY: &str = "lowland";

/// The entry of a file's metadata that names the network, as `--model` does.
pub const MODEL: &str = "model";

/// What goes with weights that are written for readers elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// Entries of the file's metadata: texts, or values as JSON.
    pub metadata: BTreeMap<String, String>,
    /// Files that belong beside the weights, by their names.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Export {
    /// The version of Lowland, the name of the network and those of its classes, as JSON.
    pub fn of(model: &str, classes: &[String]) -> Self {
        let mut export = Self::default();
        export.metadata.insert(WRITTEN_BY.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        export.metadata.insert(MODEL.to_owned(), model.to_owned());
        if !classes.is_empty() {
            export.add("classes", &json!(classes));
        }
        export
    }

    /// Adds an entry to the metadata, as JSON.
    pub fn add(&mut self, name: &str, value: &Value) {
        self.metadata.insert(name.to_owned(), value.to_string());
    }
}
