//! What was taken of a data set, and how: named wherever results are.

use lowland_tasks::config::TrainConfig;
use lowland_tasks::flatness::EvalSettings;
use lowland_tasks::task::Split;
use lowland_tasks::train::Data;

use crate::words;

/// What a reader must know of the data of a run, a line each: what was
/// left out, which subsets were drawn, and how.
pub(crate) fn data_notes(data: &Data, config: &TrainConfig) -> Vec<String> {
    let task = data.task();
    let samples = task.wording().samples;
    let parts = [(Split::Train, "training"), (Split::Test, "test")];
    let limited = parts.into_iter().filter_map(|(split, part)| {
        let subset = words::subset(&task.limited(split)?, &format!("{part} {samples}"));
        Some(format!("data: {subset}"))
    });
    let mut notes: Vec<String> =
        task.remarks().iter().map(|remark| format!("data: {remark}")).collect();
    notes.extend(limited);
    if let Some(from) = &config.from {
        let head = if config.new_head { "; its last layer is drawn anew" } else { "" };
        notes.push(format!("weights: those of {} at the start{head}", from.display()));
    }
    if let Some(subset) = task.calibration(config) {
        let subset = words::subset(&subset, &format!("training {samples}"));
        notes.push(format!("quantisers: calibrated on {subset}"));
    }
    if config.sharpness_every.is_some() {
        notes.extend(sharpness_note(data));
    }
    notes
}

/// On which samples the sharpness is measured during training and at the end of each run of a
/// comparison; `None` where it is on all.
pub(crate) fn sharpness_note(data: &Data) -> Option<String> {
    let (task, EvalSettings { split, images, .. }) = (data.task(), EvalSettings::quick());
    let subset = task.drawn(split, images).ok()??;
    let samples = format!("training {}", task.wording().samples);
    Some(format!("sharpness: measured on {}", words::subset(&subset, &samples)))
}
