//! `lowland landscape`: the loss around the ends of runs.

mod fit;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use lowland::ParamVec;
use lowland::sharpness::{
    EigenvaluesConfig, Landscape as Found, Line, Position, Progress, Span, eigenvalues,
    filter_axis, filter_normalised, grid, landscape, linspace, no_extra,
};
use lowland_tasks::flatness::EvalBatches;

use self::fit::check_fit;
use crate::commands::sharpness::EvalFlags;
use crate::compare::landscapes::{Along, FORMAT, Landscapes, Sample, View};
use crate::failure::{Interrupted, Usage};
use crate::files::LANDSCAPE;
use crate::run::finished::{FinishedRun, OpenFlags};
use crate::run::interrupt::Interrupt;
use crate::terminal::{Stages, command, note, say};
use crate::{files, report};

/// The name of the page.
const PAGE: &str = "landscape.html";

/// How far the loss may rise on the axes of a plane whose extent is not given.
const RISE: f64 = 1.0;

/// The extents that are tried: this one, and its halves.
const LARGEST: f64 = 4.0;

/// The extent below which none is tried.
const SMALLEST: f64 = 1e-3;

/// Draw the loss around the weights of runs, or on the lines between them
///
/// A plane around each run along the same two directions, so that runs can be compared, or the
/// straight lines from the first run to the others. All runs must have the same network, and the
/// samples that are measured must be the same of all: those of --on, of the set that they learned
/// from. Writes landscape.json and landscape.html.
#[derive(Debug, Args)]
pub(crate) struct Landscape {
    /// The folders of the runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The folder that is written to [default: that of the first run]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Axes: random or eigenvectors (a plane around each run), or line (between the runs)
    #[arg(long, value_name = "WHAT", default_value = "random")]
    along: Along,
    /// Points along each axis, 2 to 201
    #[arg(long, value_name = "N", default_value_t = 15)]
    points: usize,
    /// How far each axis reaches to both sides of a run: along random directions 1 is the length of
    /// the weights, along eigenvectors a length in the space of weights, along a line the distance
    /// of the runs beyond their ends [default: for planes, as far as the loss on the axes stays
    /// within 1 of the runs', and at most 4; for lines, 0.25]
    #[arg(long, value_name = "F")]
    extent: Option<f64>,
    /// The seed of random directions
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    open: OpenFlags,
    #[command(flatten)]
    eval: EvalFlags,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Shows progress while it is measured, and listens for Ctrl-C.
struct ProgressSink {
    stages: Stages,
    interrupt: Interrupt,
}

impl ProgressSink {
    fn watch(&self, what: &str) -> impl FnMut(Progress) -> std::ops::ControlFlow<()> {
        move |progress| {
            self.stages.show(what, progress.done, progress.total);
            self.interrupt.flow()
        }
    }

    /// Fails where Ctrl-C cut a measurement short.
    fn check(&self) -> Result<()> {
        if self.interrupt.flow().is_break() {
            let progress = "; nothing was written".to_owned();
            bail!(Interrupted { progress, code: self.interrupt.code() });
        }
        Ok(())
    }
}

impl Landscape {
    /// Measures and writes.
    ///
    /// # Errors
    /// Folders without runs, runs of different networks or data, settings out of range, Ctrl-C.
    pub(crate) fn run(self) -> Result<()> {
        let extent = self.checked_extent()?;
        let out = self.out.clone().unwrap_or_else(|| self.runs[0].clone());
        files::check_target(&out, &[LANDSCAPE, PAGE])?;
        if self.open.weights.is_some() && self.runs.len() > 1 {
            bail!(Usage("--weights gives one network its weights: name one run".to_owned()));
        }
        let mut runs = Vec::new();
        for path in &self.runs {
            runs.push(FinishedRun::open(path, &self.open)?);
        }
        let eval = self.eval.settings();
        check_fit(&runs, eval.split, self.along)?;
        // The same samples of all, each as its run has learned them.
        let batches: Vec<EvalBatches> = runs
            .iter()
            .map(|run| EvalBatches::new(&run.data, &eval, &run.device))
            .collect::<Result<_, _>>()?;
        let sink = ProgressSink { stages: Stages::new(self.quiet), interrupt: Interrupt::listen() };
        let views = match self.along {
            Along::Line => self.lines(&runs, &batches[0], extent.unwrap_or(0.25), &sink)?,
            Along::Random | Along::Eigenvectors => self.planes(&runs, &batches, extent, &sink)?,
        };
        drop(sink);
        let found = Landscapes {
            format: FORMAT,
            command: command(),
            images: batches[0].images(),
            subset: batches[0].subset(),
            eval,
            measure: runs[0].data.task().wording().measure,
            weights: weights_of(&runs),
            data_differences: differences(&runs),
            along: self.along,
            views,
        };
        files::make_folder(&out)?;
        files::write(&out.join(LANDSCAPE), &serde_json::to_vec_pretty(&found)?)?;
        let page = out.join(PAGE);
        files::write(&page, report::landscape_page(&found).as_bytes())?;
        say(&format!("The landscape: {}", page.display()))
    }

    /// The extent that is asked for; `None` where it is chosen from the loss.
    fn checked_extent(&self) -> Result<Option<f64>> {
        if !(2..=201).contains(&self.points) {
            bail!(Usage(format!("--points must be between 2 and 201, found {}", self.points)));
        }
        if self.along == Along::Line && self.runs.len() < 2 {
            bail!(Usage("a line needs two runs or more".to_owned()));
        }
        let Some(extent) = self.extent.or((self.along == Along::Line).then_some(0.25)) else {
            return Ok(None);
        };
        let (least, range) = match self.along {
            Along::Line => (0.0, "at least 0"),
            Along::Random | Along::Eigenvectors => (f64::MIN_POSITIVE, "above 0"),
        };
        if !(extent.is_finite() && extent >= least) {
            bail!(Usage(format!("--extent must be finite and {range}, found {extent}")));
        }
        Ok(Some(extent))
    }

    fn planes(
        &self,
        runs: &[FinishedRun],
        batches: &[EvalBatches],
        extent: Option<f64>,
        sink: &ProgressSink,
    ) -> Result<Vec<View>> {
        let (directions, values) = self.directions(&runs[0], &batches[0], sink)?;
        let extent = match extent {
            Some(extent) => extent,
            None => self.flat_extent(runs, batches, &directions, sink)?,
        };
        let along = linspace(-extent, extent, self.points);
        let points = grid(&along, &along);
        let mut views = Vec::new();
        for (i, (run, batches)) in runs.iter().zip(batches).enumerate() {
            let label = labels(runs)[i].clone();
            let section = Span::around(Position::of(&run.model)?, directions.clone())?;
            let mut surface = batches.surface(&run.model)?;
            let found = landscape(&mut surface, &section, &points, no_extra, sink.watch(&label))?;
            sink.check()?;
            let eigenvalues = if i == 0 { values.clone() } else { Vec::new() };
            views.push(View { label, points: samples(found), eigenvalues });
        }
        Ok(views)
    }

    /// How far the flat part reaches: the largest of some extents up to which the loss on the axes
    /// stays near that of each run.
    fn flat_extent(
        &self,
        runs: &[FinishedRun],
        batches: &[EvalBatches],
        directions: &[ParamVec; 2],
        sink: &ProgressSink,
    ) -> Result<f64> {
        let mut best = LARGEST;
        for (run, batches) in runs.iter().zip(batches) {
            let section = Span::around(Position::of(&run.model)?, directions.clone())?;
            let mut surface = batches.surface(&run.model)?;
            let limit = surface.loss()? + RISE;
            while best > SMALLEST {
                let ends = [[best, 0.0], [-best, 0.0], [0.0, best], [0.0, -best]];
                let found =
                    landscape(&mut surface, &section, &ends, no_extra, sink.watch("extent"))?;
                sink.check()?;
                if found.points.iter().all(|point| point.loss <= limit) {
                    break;
                }
                best /= 2.0;
            }
        }
        let line = format!(
            "extent {best}: as far as the loss on the axes stays within {RISE} of the runs'; --extent sets another"
        );
        note(&line, self.quiet);
        Ok(best)
    }

    /// The two axes of all planes, and the eigenvalues along them where they are eigenvectors.
    fn directions(
        &self,
        run: &FinishedRun,
        batches: &EvalBatches,
        sink: &ProgressSink,
    ) -> Result<([ParamVec; 2], Vec<f64>)> {
        let mut surface = batches.surface(&run.model)?;
        if self.along == Along::Random {
            let weights = surface.weights().clone();
            let draw = |seed| filter_normalised(surface.parameters(), &weights, seed, filter_axis);
            return Ok(([draw(2 * self.seed)?, draw(2 * self.seed + 1)?], Vec::new()));
        }
        let config = EigenvaluesConfig { count: 2, steps: 40, ..EigenvaluesConfig::default() };
        let found = eigenvalues(&mut surface, &config, sink.watch("eigenvectors"))?;
        sink.check()?;
        let (vectors, values): (Vec<ParamVec>, Vec<f64>) =
            found.pairs.into_iter().map(|pair| (pair.vector, pair.value)).unzip();
        let directions = <[ParamVec; 2]>::try_from(vectors);
        let directions = directions.ok().context("the network has fewer than two weights")?;
        Ok((directions, values))
    }

    fn lines(
        &self,
        runs: &[FinishedRun],
        batches: &EvalBatches,
        extent: f64,
        sink: &ProgressSink,
    ) -> Result<Vec<View>> {
        let labels = labels(runs);
        let mut along = linspace(-extent, 1.0 + extent, self.points);
        // The runs themselves are on it.
        along.extend([0.0, 1.0]);
        along.sort_by(f64::total_cmp);
        along.dedup();
        let points: Vec<[f64; 1]> = along.into_iter().map(|t| [t]).collect();
        let mut views = Vec::new();
        for (run, label) in runs.iter().zip(&labels).skip(1) {
            let line = Line::between(Position::of(&runs[0].model)?, Position::of(&run.model)?)?;
            let mut surface = batches.surface(&runs[0].model)?;
            let label = format!("{} to {label}", labels[0]);
            let accuracy = |model: &_| batches.accuracy(model).ok();
            let found = landscape(&mut surface, &line, &points, accuracy, sink.watch(&label))?;
            sink.check()?;
            views.push(View { label, points: samples(found), eigenvalues: Vec::new() });
        }
        Ok(views)
    }
}

/// Names for the runs: their algorithms, and their folders where those are the same.
fn labels(runs: &[FinishedRun]) -> Vec<String> {
    let label = |run: &FinishedRun| {
        let label = run.config.algorithm_label();
        let twins = runs.iter().filter(|other| other.config.algorithm_label() == label).count();
        match run.path.file_name().and_then(|name| name.to_str()) {
            Some(folder) if twins > 1 => format!("{label} ({folder})"),
            _ => label.to_owned(),
        }
    };
    runs.iter().map(label).collect()
}

/// Which weights of the runs these are, in words.
fn weights_of(runs: &[FinishedRun]) -> String {
    let first = &runs[0].weights;
    if runs.iter().all(|run| run.weights == *first) {
        return first.clone();
    }
    let one = |(label, run): (String, &FinishedRun)| format!("{label}: {}", run.weights);
    labels(runs).into_iter().zip(runs).map(one).collect::<Vec<_>>().join("; ")
}

/// How the data is not that which the runs learned: each difference once, with the run where there
/// are several.
fn differences(runs: &[FinishedRun]) -> Vec<String> {
    let of_run = |(label, run): (String, &FinishedRun)| {
        let all = run.differences.iter();
        let named = |difference: &String| match runs.len() {
            1 => difference.clone(),
            _ => format!("{label}: {difference}"),
        };
        all.map(named).collect::<Vec<_>>()
    };
    labels(runs).into_iter().zip(runs).flat_map(of_run).collect()
}

fn samples<const D: usize>(found: Found<D>) -> Vec<Sample> {
    let sample = |point: lowland::sharpness::Point<D>| Sample {
        at: point.at.to_vec(),
        loss: Some(point.loss).filter(|loss| loss.is_finite()),
        accuracy: point.other,
    };
    found.points.into_iter().map(sample).collect()
}
