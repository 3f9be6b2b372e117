//! `lowland sharpness`: how flat the loss is where a run ended.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lowland::sharpness::Normalisation;
use lowland_tasks::flatness::{
    EvalBatches, EvalSettings, Flatness, FlatnessConfig, Measured, flatness,
};

use super::split::SplitArg;
use crate::failure::Interrupted;
use crate::files;
use crate::files::SHARPNESS;
use crate::layout::{self, Grid, WIDTH, wrapped};
use crate::run::finished::{FinishedRun, OpenFlags};
use crate::run::interrupt::Interrupt;
use crate::settings::count;
use crate::terminal::{Stages, print, say};
use crate::words;

/// Measure how flat the loss is at the weights of a run
///
/// The largest eigenvalues of the Hessian (Lanczos), its trace (Hutchinson) and the rise of the
/// loss within a radius, plain and adaptive; on a part of the training samples, without
/// augmentation. Writes sharpness.json into the run's folder, unless other data or weights than the
/// run's own are asked for, or the run is not finished.
#[derive(Debug, Args)]
pub(crate) struct Sharpness {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    open: OpenFlags,
    #[command(flatten)]
    eval: EvalFlags,
    /// How many of the largest eigenvalues; 0 for none
    #[arg(long, value_name = "N", default_value_t = FlatnessConfig::default().eigenvalues)]
    eigenvalues: usize,
    /// The most Lanczos steps for them
    #[arg(long, value_name = "N", default_value_t = FlatnessConfig::default().lanczos_steps)]
    lanczos_steps: usize,
    /// Random vectors for the trace; 0 for none
    #[arg(long, value_name = "N", default_value_t = FlatnessConfig::default().trace_probes)]
    trace_probes: usize,
    /// Random vectors for the density of the spectrum, 30 Lanczos steps each; 0 for none
    #[arg(long, value_name = "N", default_value_t = 0)]
    density_probes: usize,
    /// The radius of the rise
    #[arg(long, value_name = "F", default_value_t = FlatnessConfig::default().rho)]
    rho: f64,
    /// The radius of the rise in shares of each weight, as ASAM's
    #[arg(long, value_name = "F", default_value_t = FlatnessConfig::default().adaptive_rho)]
    adaptive_rho: f64,
    /// Steps of the ascent to the largest rise; 0 for none
    #[arg(long, value_name = "N", default_value_t = FlatnessConfig::default().ascent_steps)]
    ascent_steps: usize,
    /// Random directions for the average rise; 0 for none
    #[arg(long, value_name = "N", default_value_t = FlatnessConfig::default().directions)]
    directions: usize,
    /// The seed of random vectors
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// On which samples the loss is measured.
#[derive(Debug, Args)]
pub(crate) struct EvalFlags {
    /// Data split
    #[arg(long, value_name = "WHICH", default_value = "train")]
    on: SplitArg,
    /// The most samples that the loss is measured on, drawn over all classes
    #[arg(long, value_name = "N", default_value_t = EvalSettings::default().images, value_parser = count::<usize>)]
    images: usize,
    /// Batch size
    #[arg(long, value_name = "N", default_value_t = EvalSettings::default().batch_size, value_parser = count::<usize>)]
    batch_size: usize,
    /// How BatchNorm behaves: with its running statistics, as the network is used, or with those of
    /// each batch, as in training
    #[arg(long, value_name = "HOW", default_value = "evaluation")]
    normalisation: How,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// Running statistics
    Evaluation,
    /// Statistics of each batch
    Batch,
}

impl EvalFlags {
    /// The settings that the flags ask for.
    pub(crate) fn settings(&self) -> EvalSettings {
        EvalSettings {
            split: self.on.into(),
            images: self.images,
            batch_size: self.batch_size,
            normalisation: match self.normalisation {
                How::Evaluation => Normalisation::Evaluation,
                How::Batch => Normalisation::Batch,
            },
        }
    }
}

impl Sharpness {
    /// Measures, prints and writes.
    ///
    /// # Errors
    /// A folder without a run, settings out of range, a loss that is not finite, Ctrl-C.
    pub(crate) fn run(self) -> Result<()> {
        let run = FinishedRun::open(&self.run, &self.open)?;
        let eval = self.eval.settings();
        let batches = EvalBatches::new(&run.data, &eval, &run.device)?;
        let config = FlatnessConfig {
            eigenvalues: self.eigenvalues,
            lanczos_steps: self.lanczos_steps,
            trace_probes: self.trace_probes,
            density_probes: self.density_probes,
            rho: self.rho,
            adaptive_rho: self.adaptive_rho,
            ascent_steps: self.ascent_steps,
            directions: self.directions,
            seed: self.seed,
        };
        let interrupt = Interrupt::listen();
        let stages = Stages::new(self.quiet || self.json);
        let found = flatness(&run.model, &batches, &eval, &config, &mut |what, done, total| {
            stages.show(what, done, total);
            interrupt.flow()
        })?;
        drop(stages);
        let Some(found) = found else {
            let progress = "; nothing was written".to_owned();
            bail!(Interrupted { progress, code: interrupt.code() });
        };
        let json = serde_json::to_string_pretty(&found)?;
        // With other weights or data, or before the end, it is no figure of the run, and does not
        // take the place of one.
        let path = run.path.join(SHARPNESS);
        let is_of_run = run.is_finished && run.differences.is_empty() && self.open.is_default();
        let written = if is_of_run { files::write(&path, json.as_bytes()) } else { Ok(()) };
        if let Err(error) = &written {
            // What took minutes to measure is shown all the same.
            tracing::warn!("{error:#}: the numbers are printed and not kept");
        }
        if self.json {
            return print(&json);
        }
        print(&table(&found, layout::width()))?;
        let kept = match (is_of_run, written) {
            (true, Ok(())) => format!("The numbers: {}", path.display()),
            (true, Err(_)) => format!("{SHARPNESS} could not be written"),
            (false, _) => {
                format!("Not the run's final weights and data: {SHARPNESS} is left as it is")
            }
        };
        say(&format!("\nOf {}. {kept}", run.weights))
    }
}

fn table(found: &Flatness, width: usize) -> String {
    let number = |value: f64| words::significant(value, 4);
    let measured = |value: Measured| match value.standard_error {
        Some(error) => format!("{} ± {}", number(value.mean), words::significant(error, 2)),
        None => number(value.mean),
    };
    let mut rows = vec![("loss".to_owned(), number(found.loss))];
    for (i, eigenvalue) in found.eigenvalues.iter().enumerate() {
        let error = words::significant(eigenvalue.residual, 2);
        rows.push((
            format!("eigenvalue {}", i + 1),
            format!("{} ± {error}", number(eigenvalue.value)),
        ));
    }
    if let Some(trace) = found.trace {
        rows.push(("trace of the Hessian".to_owned(), measured(trace)));
    }
    for layer in &found.layers {
        rows.push((format!("  of {}", layer.path), measured(layer.trace)));
    }
    let FlatnessConfig { rho, adaptive_rho, .. } = found.config;
    for (what, rho, largest, average) in [
        ("rise", rho, found.largest_rise, found.average_rise),
        ("adaptive rise", adaptive_rho, found.adaptive_largest_rise, found.adaptive_average_rise),
    ] {
        rows.extend(largest.map(|rise| (format!("largest {what} within {rho}"), measured(rise))));
        rows.extend(average.map(|rise| (format!("average {what} within {rho}"), measured(rise))));
    }
    let sample = format!("{} sample", found.eval.split.name());
    let samples = match found.subset {
        Some(subset) => {
            format!("on {} of {}", words::count(found.images), words::counted(subset.of, &sample))
        }
        None => format!("on {}", words::counted(found.images, &sample)),
    };
    let mut grid = Grid::new().words(samples).numbers("").called("value");
    for (what, value) in rows {
        grid.push([what, value]);
    }
    let mut notes = vec![
        "± is the measured residual of an eigenvalue, the standard error of a trace and an average \
         rise over their random vectors, and that of a largest rise over the samples."
            .to_owned(),
    ];
    if let Some(subset) = found.subset {
        notes.push(format!("The samples were {}; --images takes more.", words::drawn(&subset)));
    }
    if !found.converged {
        notes.push(
            "Not all eigenvalues are known to a tenth of the largest: more --lanczos-steps or \
             --images find them more closely."
                .to_owned(),
        );
    }
    let notes = notes.iter().map(|note| format!("\n{}", wrapped(note, width.min(WIDTH))));
    format!("{}{}", grid.within(width), notes.collect::<String>())
}
