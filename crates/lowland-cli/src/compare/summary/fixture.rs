//! A made-up comparison for tests: the numbers are smooth functions of seed and epoch.

use std::collections::BTreeMap;

use crate::compare::equal::Equal;
use lowland_tasks::task::Wording;

use crate::compare::summary::{
    Contender, EpochRecord, Heading, Run, SamplingPoint, Setting, Summary,
};

/// How one made-up algorithm behaves.
struct Shape {
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    accuracy: f64,
    scatter: [f64; 5],
    memorises: f64,
    passes: f64,
    overhead: f64,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "SGD",
        settings: &[],
        accuracy: 0.792,
        scatter: [0.004, -0.011, 0.008, 0.001, -0.003],
        memorises: 1.0,
        passes: 1.0,
        overhead: 1.0,
    },
    Shape {
        name: "SAM",
        settings: &[("rho", "0.05")],
        accuracy: 0.814,
        scatter: [0.006, -0.009, 0.004, 0.002, -0.004],
        memorises: 0.62,
        passes: 2.0,
        overhead: 1.015,
    },
    Shape {
        name: "ARSAM",
        settings: &[("rho", "0.05"), ("quota", "0.5"), ("window", "20")],
        accuracy: 0.806,
        scatter: [-0.007, -0.004, 0.012, 0.003, -0.001],
        memorises: 0.7,
        passes: 1.52,
        overhead: 1.03,
    },
];

/// The words of the made-up comparison.
pub(crate) fn heading() -> Heading {
    Heading {
        title: "What sharpness-aware training buys on noisy labels".into(),
        question: "Do SAM and ARSAM classify more test images correctly than SGD when 30 % of \
                   the training labels are wrong, and what do they cost?"
            .into(),
        command: "lowland demo --out report".into(),
        version: "lowland 0.1.0".into(),
        hardware: "2 processor cores, Burn Flex backend, 32-bit floats".into(),
    }
}

/// The setting of the made-up comparison.
pub(crate) fn setting() -> Setting {
    Setting {
        data: "Fashion-MNIST, embedded subset".into(),
        wording: Wording::default(),
        training_images: 2500,
        validation_images: 0,
        test_images: 2000,
        data_notes: Vec::new(),
        classes: 10,
        label_noise: 0.3,
        labels_changed: 671,
        model: "small convolutional network with batch normalisation".into(),
        parameters: 23_594,
        batch_size: 64,
        epochs: 15,
        steps_per_epoch: 39,
        optimizer: "SGD".into(),
        learning_rate: 0.05,
        schedule: "cosine to 0".into(),
        momentum: 0.9,
        weight_decay: 0.0005,
        label_smoothing: 0.0,
        augmentation: String::new(),
        equal: Equal::Epochs,
        limit: None,
        seeds: vec![0, 1, 2],
        margin: None,
        note: String::new(),
    }
}

/// SGD, SAM and ARSAM over up to five seeds.
pub(crate) fn contenders(seeds: usize, epochs: usize) -> Vec<Contender> {
    SHAPES.iter().map(|shape| shape.contender(seeds, epochs)).collect()
}

/// The whole made-up comparison.
pub(crate) fn summary(seeds: usize, epochs: usize) -> Summary {
    let seeds_run = (0..seeds as u64).collect();
    let setting = Setting { epochs, seeds: seeds_run, ..setting() };
    Summary::new(heading(), setting, contenders(seeds, epochs))
}

impl Shape {
    fn contender(&self, seeds: usize, epochs: usize) -> Contender {
        let settings: BTreeMap<String, String> =
            self.settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Contender {
            name: self.name.to_lowercase(),
            label: self.name.into(),
            settings,
            runs: (0..seeds).map(|seed| self.run(seed, epochs)).collect(),
        }
    }

    fn run(&self, seed: usize, epochs: usize) -> Run {
        let records: Vec<EpochRecord> =
            (1..=epochs).map(|epoch| self.epoch(seed, epoch, epochs)).collect();
        let accuracies = || records.iter().filter_map(|record| record.test_accuracy);
        let seconds_per_step = 0.0212 * self.passes * self.overhead * (1.0 + 0.01 * seed as f64);
        Run {
            seed: seed as u64,
            final_accuracy: accuracies().next_back(),
            best_accuracy: None,
            best_epoch: None,
            passes_per_step: self.passes + 0.004 * (self.passes - 1.0).sin() * seed as f64,
            seconds_per_step,
            training_seconds: seconds_per_step * 39.0 * epochs as f64,
            sampling: self.sampling(seed, epochs),
            flatness: None,
            confusion: None,
            scores: BTreeMap::new(),
            epochs: records,
        }
    }

    fn epoch(&self, seed: usize, epoch: usize, epochs: usize) -> EpochRecord {
        let (time, whole) = (epoch as f64, epochs as f64);
        let wave = (time * 2.3 + seed as f64 * 1.7 + self.passes * 5.0).sin();
        let early = (1.0 - time / whole) * 0.02 * wave;
        let learned = 1.0 - (-time / 2.2).exp();
        let overfit = 0.035 * self.memorises * (time / whole).powi(2);
        let finished = self.accuracy + self.scatter[seed % 5] + 0.035 * self.memorises;
        EpochRecord {
            epoch,
            train_loss: Some(2.3 - 0.75 * learned - 0.65 * self.memorises * time / whole),
            train_accuracy: None,
            average_accuracy: None,
            average_loss: None,
            validation_loss: None,
            validation_accuracy: None,
            test_loss: Some(1.9 - 0.8 * learned + overfit * 6.0 - early),
            test_accuracy: Some(0.1 + (finished - 0.1) * learned.powf(0.35) - overfit + early),
            scores: BTreeMap::new(),
            learning_rate: 0.025 * (1.0 + (std::f64::consts::PI * time / whole).cos()),
            passes: 39.0 * self.passes,
            second_gradient_share: self.passes - 1.0,
            seconds: 39.0 * 0.0212 * self.passes,
        }
    }

    fn sampling(&self, seed: usize, epochs: usize) -> Vec<SamplingPoint> {
        if self.name != "ARSAM" {
            return Vec::new();
        }
        (1..=2 * epochs)
            .map(|point| {
                let time = point as f64 / (2 * epochs) as f64;
                let wave = 0.09 * (point as f64 * 1.9 + seed as f64 * 2.1).sin();
                let share = if point <= 3 { 1.0 } else { 0.36 + 0.25 * time + wave };
                SamplingPoint {
                    step: point * 39 / 2,
                    share,
                    psf_norm: Some(0.4 - 0.2 * time),
                    gradient_norm: Some(2.0 - time),
                    radius: Some(0.05),
                }
            })
            .collect()
    }
}
