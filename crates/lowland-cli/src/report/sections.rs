//! The page's prose: the setting, how to read the page, and how to repeat the comparison.

use lowland::sharpness::Normalisation;
use lowland_tasks::data::Subset;
use lowland_tasks::flatness::EvalSettings;

use super::answer::margin_points;
use super::markup::{escaped, joined, prose};
use super::numbers::brief;
use crate::compare::equal::Equal;
use crate::compare::landscapes::Landscapes;
use crate::compare::power::TARGET;
use crate::compare::summary::{Setting, Summary};
use crate::words::{self, count, counted, counted_as, round_percent};

/// Everything the algorithms share, in plain words.
pub(super) fn setting(summary: &Summary) -> String {
    let setting = &summary.setting;
    let mut items = vec![
        ("Data", data(setting)),
        ("Label noise", label_noise(setting)),
        ("Augmentation", augmentation(setting)),
        (
            "Network",
            format!("{}, {} trainable parameters", setting.model, count(setting.parameters)),
        ),
        ("Training", training(summary)),
        ("Optimizer", optimizer(setting)),
        ("Label smoothing", label_smoothing(setting)),
        ("Seeds", seeds(setting)),
    ];
    for algorithm in &summary.algorithms {
        let settings: Vec<String> =
            algorithm.settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        if !settings.is_empty() {
            items.push((&algorithm.label, settings.join(", ")));
        }
    }
    if !setting.note.is_empty() {
        items.push(("Note", setting.note.clone()));
    }
    section("The setting", &definitions(&items))
}

/// What the numbers and marks mean.
pub(super) fn reading(summary: &Summary) -> String {
    let baseline = summary.baseline().map_or("the baseline", |baseline| &baseline.label);
    let wording = &summary.setting.wording;
    let measured = format!("Test {}", wording.measure);
    let power = round_percent(TARGET);
    let equivalence = equivalence(summary.setting.margin);
    let items = [
        (
            measured.as_str(),
            format!(
                "{}, {}. The test set is not used in training, and no epoch is picked by it.",
                if wording.meaning.is_empty() {
                    format!("The share of the {} in the test set", wording.right)
                } else {
                    wording.meaning.clone()
                },
                if summary.setting.validation_images > 0 {
                    "measured once, with the weights that were best on the validation samples"
                } else {
                    "after the last epoch"
                }
            ),
        ),
        (
            "± and spread",
            "The standard deviation of single runs around their mean. Runs differ by the seed, \
             which sets the start, the data order and the corrupted labels."
                .into(),
        ),
        (
            "Difference",
            format!(
                "An algorithm's {} less {baseline}'s, seed by seed, then averaged. One point \
                 is one {}.",
                wording.measure,
                if wording.meaning.is_empty() {
                    format!("{} in a hundred", wording.answer)
                } else {
                    "hundredth".to_owned()
                }
            ),
        ),
        (
            "95 % interval and verdict",
            format!(
                "A paired t-test against {baseline}. The interval holds the differences that the \
                 runs do not rule out. \"Superior\" and \"inferior\" are said where p is below \
                 0.05 after Holm's correction for the number of algorithms that are tested; the \
                 intervals are not corrected. {equivalence} With one seed there is no test, and \
                 \"not tested\" is all that can be said. How many more seeds would probably decide \
                 is worked out for a chance of {power}, from the mean and the spread of the \
                 differences so far: with few seeds, a rough guess."
            ),
        ),
        (
            "Passes per step",
            "How often the network is run forward and backward over a batch for one step, counted \
             while training. SGD needs 1; SAM takes a second gradient at perturbed weights and \
             needs 2; ARSAM decides at each step whether to take it."
                .into(),
        ),
        (
            "Time",
            format!(
                "Wall-clock time of a training step as a ratio to {baseline}'s run of the same \
                 seed, evaluation left out. It depends on the hardware; passes do not."
            ),
        ),
    ];
    section("How to read this page", &definitions(&items))
}

/// When algorithms count as equivalent, in words.
fn equivalence(margin: Option<f64>) -> String {
    match margin {
        Some(margin) => format!(
            "\"Equivalent\" is said where a difference of {} or more to either side is ruled out by \
             two one-sided tests, corrected in the same way; the margin was stated before anything \
             was trained. Otherwise the comparison is \"undecided\".",
            margin_points(margin)
        ),
        None => "Otherwise the comparison is \"undecided\", which is not the same as \"equal\": \
                 with few seeds a small difference stays hidden. Whether two algorithms are \
                 equivalent is tested where a margin is stated beforehand (--margin)."
            .to_owned(),
    }
}

/// What somebody needs to get the same numbers.
pub(super) fn repeat(summary: &Summary) -> String {
    let command = escaped(&summary.command);
    let items = [("Version", summary.version.clone()), ("Hardware", summary.hardware.clone())];
    let lead = match summary.setting.equal {
        Equal::Epochs | Equal::Passes => {
            "The same command, version and hardware give the same figures; times vary a little from \
             run to run."
        }
        Equal::Time => {
            "The same command, version and hardware give about the same: how many steps a run takes \
             depends on the clock, and so do all figures."
        }
    };
    section(
        "Repeat it",
        &format!("<pre><code>{command}</code></pre>\n<p>{lead}</p>\n{}", definitions(&items)),
    )
}

/// Where landscapes were measured, and how they come again.
pub(super) fn landscape(landscapes: &Landscapes) -> String {
    let command = escaped(&landscapes.command);
    let items = definitions(&landscape_items(landscapes));
    section("Repeat it", &format!("<pre><code>{command}</code></pre>\n{items}"))
}

/// On which samples and with which weights the loss was measured, in a sentence.
pub(super) fn landscape_source(landscapes: &Landscapes) -> String {
    let items = landscape_items(landscapes);
    let parts: Vec<String> = items.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    format!("{}.", parts.join(". "))
}

/// On which samples and with which weights the loss was measured.
fn landscape_items(landscapes: &Landscapes) -> Vec<(&'static str, String)> {
    let subset = landscapes.subset.as_ref();
    let mut items = vec![("Measured on", measured_on(&landscapes.eval, landscapes.images, subset))];
    if !landscapes.weights.is_empty() {
        items.push(("Weights", landscapes.weights.clone()));
    }
    if !landscapes.data_differences.is_empty() {
        items.push(("Other data than in training", landscapes.data_differences.join("; ")));
    }
    items
}

/// Samples and BatchNorm, in words.
pub(super) fn measured_on(eval: &EvalSettings, images: usize, subset: Option<&Subset>) -> String {
    let split = eval.split.name();
    let normalisation = match eval.normalisation {
        Normalisation::Evaluation => "its running statistics, as the network is used",
        Normalisation::Batch => "the statistics of each batch, as in training",
    };
    let samples = match subset {
        Some(subset) => words::subset(subset, &format!("{split} samples")),
        None => counted(images, &format!("{split} sample")),
    };
    format!("{samples}, not augmented; BatchNorm with {normalisation}")
}

fn data(setting: &Setting) -> String {
    let wording = &setting.wording;
    let samples = |count: usize, of: &str| {
        let [one, many] = [&wording.sample, &wording.samples].map(|noun| format!("{of}{noun}"));
        counted_as(count, &one, &many)
    };
    format!(
        "{}: {}{} and {}; {}{}",
        setting.data,
        samples(setting.training_images, "training "),
        match setting.validation_images {
            0 => String::new(),
            count => format!(", {}", samples(count, "validation ")),
        },
        samples(setting.test_images, "test "),
        counted_as(setting.classes, &wording.class, &wording.classes),
        notes(setting),
    )
}

/// What was taken of the data set, where that is not all: every run has the same.
fn notes(setting: &Setting) -> String {
    if setting.data_notes.is_empty() {
        return String::new();
    }
    format!(" ({})", setting.data_notes.join("; "))
}

fn label_noise(setting: &Setting) -> String {
    if setting.label_noise == 0.0 {
        return "None: all training labels are those of the data set.".into();
    }
    format!(
        "{} of the training labels were drawn anew at random before training, which changed {} of \
         {}; the test labels are untouched. A network that learns the wrong labels by heart loses \
         accuracy on the test set, so this setting shows whether an algorithm resists that. \
         With clean labels the difference can be smaller, or go the other way.",
        round_percent(setting.label_noise),
        count(setting.labels_changed),
        count(setting.training_images),
    )
}

fn augmentation(setting: &Setting) -> String {
    if setting.augmentation.trim().is_empty() {
        return format!("None: every epoch sees the same {}.", setting.wording.samples);
    }
    setting.augmentation.clone()
}

fn training(summary: &Summary) -> String {
    let setting = &summary.setting;
    let epochs = format!(
        "{} of {} with {} each",
        counted(setting.epochs, "epoch"),
        counted(setting.steps_per_epoch, "step"),
        counted_as(setting.batch_size, &setting.wording.sample, &setting.wording.samples),
    );
    let Some(equal) = setting.held_equal() else { return epochs };
    let rate = "the learning rate follows the share that is used up";
    if setting.limit.is_some() {
        return format!("{equal}, in at most {epochs}; {rate}");
    }
    let baseline = summary.baseline().map_or("the baseline", |baseline| &baseline.label);
    let diverged = if summary.baseline().is_some_and(|baseline| baseline.diverged() > 0) {
        ", or would have used had it not diverged"
    } else {
        ""
    };
    let what = match setting.equal {
        Equal::Time => "seconds of training steps, measuring left out,",
        Equal::Epochs | Equal::Passes => "passes (gradients of a whole batch)",
    };
    format!(
        "{equal}. {baseline}: {epochs}. Every other algorithm trains until it has used up the {what} \
         that {baseline}'s run of the same seed used{diverged}, however many steps and epochs that \
         buys; {rate}"
    )
}

fn optimizer(setting: &Setting) -> String {
    let momentum = match setting.momentum {
        0.0 => String::new(),
        momentum => format!(", momentum {}", brief(momentum)),
    };
    let schedule = match setting.schedule.as_str() {
        "" => String::new(),
        schedule => format!(" ({schedule})"),
    };
    format!(
        "{}, learning rate {}{schedule}{momentum}, weight decay {}",
        setting.optimizer,
        brief(setting.learning_rate),
        brief(setting.weight_decay),
    )
}

fn label_smoothing(setting: &Setting) -> String {
    if setting.label_smoothing == 0.0 {
        return "none".into();
    }
    format!(
        "{} of a label's weight is spread over all classes",
        round_percent(setting.label_smoothing)
    )
}

fn seeds(setting: &Setting) -> String {
    let seeds: Vec<String> = setting.seeds.iter().map(u64::to_string).collect();
    format!(
        "{}; with the same seed every algorithm begins at the same weights and sees the same {} in \
         the same order",
        seeds.join(", "),
        setting.wording.samples
    )
}

fn section(title: &str, body: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{body}</section>\n", prose(title))
}

fn definitions(items: &[(&str, String)]) -> String {
    let items = items.iter().map(|(term, text)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>\n", prose(term), prose(text))
    });
    format!("<dl>\n{}</dl>\n", joined(items))
}
