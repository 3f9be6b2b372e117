//! Which classes a network takes for which.

use anyhow::Result;
use burn::tensor::Device;
use lowland_tasks::evaluation::evaluate;
use lowland_tasks::models::Model;
use lowland_tasks::task::Split;
use lowland_tasks::train::Data;
use serde::{Deserialize, Serialize};

/// The most classes whose confusions are kept.
const MOST_CLASSES: usize = 20;

/// How many samples of a class were put into which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confusion {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Samples of a class (row) by the class that they were put into (column).
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// What a network makes of the test samples; `None` where there are no classes, or too many to
    /// show.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn of(model: &Model, data: &Data, device: &Device) -> Result<Option<Self>> {
        if !(2..=MOST_CLASSES).contains(&data.task().class_names().len()) {
            return Ok(None);
        }
        let found = evaluate(data, Split::Test, model, device)?;
        let classes: Vec<String> = found.classes.into_iter().map(|class| class.class).collect();
        Ok((!classes.is_empty()).then_some(Self { classes, counts: found.confusion }))
    }
}
