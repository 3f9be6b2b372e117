//! From runs to a summary: the spreads, the ratios and the paired differences.

use std::collections::BTreeMap;

use super::{
    AlgorithmSummary, Difference, Equivalence, FORMAT, Interval, Run, Setting, Spread, Summary,
    Uncertain, Verdict,
};
use lowland_tasks::flatness::{Flatness, Measured};

use crate::compare::power::{Assumed, further_pairs};
use crate::compare::statistics::{
    ERROR_LEVEL, deviation, equivalence_test, holm, mean, paired_t_test,
};

/// The words around a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heading {
    /// See [`Summary::title`].
    pub title: String,
    /// See [`Summary::question`].
    pub question: String,
    /// See [`Summary::command`].
    pub command: String,
    /// See [`Summary::version`].
    pub version: String,
    /// See [`Summary::hardware`].
    pub hardware: String,
}

/// An algorithm's runs before anything is computed from them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contender {
    /// See [`AlgorithmSummary::name`].
    pub name: String,
    /// See [`AlgorithmSummary::label`].
    pub label: String,
    /// See [`AlgorithmSummary::settings`].
    pub settings: BTreeMap<String, String>,
    /// See [`AlgorithmSummary::runs`].
    pub runs: Vec<Run>,
}

impl Summary {
    /// Computes all spreads and differences; the first algorithm is the baseline.
    pub(crate) fn new(heading: Heading, setting: Setting, contenders: Vec<Contender>) -> Self {
        let Heading { title, question, command, version, hardware } = heading;
        let mut contenders: Vec<Contender> =
            contenders.into_iter().map(Contender::cleaned).collect();
        let measured_otherwise = leave_out_odd_flatness(&mut contenders);
        let baseline = contenders.first().map(|first| first.runs.clone()).unwrap_or_default();
        let others = contenders.iter().skip(1);
        let differences: Vec<Vec<f64>> =
            others.map(|contender| contender.differences(&baseline)).collect();
        let judged = Difference::of_all(&differences, setting.margin);
        let judged = std::iter::once(None).chain(judged);
        let algorithms = contenders
            .into_iter()
            .zip(judged)
            .map(|(contender, difference)| contender.summarised(&baseline, difference))
            .collect();
        Self {
            format: FORMAT,
            title,
            question,
            command,
            version,
            hardware,
            setting,
            algorithms,
            landscapes: Vec::new(),
            galleries: Vec::new(),
            missing: Vec::new(),
            measured_otherwise,
            searched: None,
        }
    }
}

/// Leaves out the flatness of runs that was measured in another way than that of most: on other
/// samples, or more closely. Returns these runs by algorithm and seed.
fn leave_out_odd_flatness(contenders: &mut [Contender]) -> Vec<(String, u64)> {
    let all: Vec<&Flatness> = contenders
        .iter()
        .flat_map(|contender| contender.runs.iter().filter_map(|run| run.flatness.as_ref()))
        .collect();
    let alike = |one: &Flatness| all.iter().filter(|other| one.is_comparable(other)).count();
    // The first of equals, which max_by_key gives if it comes last.
    let Some(usual) = all.iter().rev().max_by_key(|one| alike(one)).map(|one| (*one).clone())
    else {
        return Vec::new();
    };
    let mut left_out = Vec::new();
    for Contender { label, runs, .. } in contenders {
        for run in runs {
            if run.flatness.take_if(|found| !found.is_comparable(&usual)).is_some() {
                left_out.push((label.clone(), run.seed));
            }
        }
    }
    left_out
}

impl Run {
    /// Turns what is not finite into `None`, and says "diverged" of a run whose last losses are
    /// not: a net of such weights still picks a class and so has an accuracy, of no meaning.
    fn cleaned(mut self) -> Self {
        self.final_accuracy = finite(self.final_accuracy);
        self.best_accuracy = finite(self.best_accuracy);
        for epoch in &mut self.epochs {
            epoch.train_loss = finite(epoch.train_loss);
            epoch.train_accuracy = finite(epoch.train_accuracy);
            epoch.validation_loss = finite(epoch.validation_loss);
            epoch.validation_accuracy = finite(epoch.validation_accuracy);
            epoch.test_loss = finite(epoch.test_loss);
            epoch.test_accuracy = finite(epoch.test_accuracy);
        }
        if let Some(last) = self.epochs.last()
            && [last.train_loss, last.measured_loss()].contains(&None)
        {
            self.final_accuracy = None;
        }
        self
    }
}

impl Contender {
    fn cleaned(mut self) -> Self {
        self.runs = self.runs.into_iter().map(Run::cleaned).collect();
        self
    }

    /// Final accuracies less the baseline's, seed by seed.
    fn differences(&self, baseline: &[Run]) -> Vec<f64> {
        pairs(&self.runs, baseline)
            .filter_map(|(run, base)| Some(run.final_accuracy? - base.final_accuracy?))
            .collect()
    }

    fn summarised(self, baseline: &[Run], difference: Option<Difference>) -> AlgorithmSummary {
        let Self { name, label, settings, runs } = self;
        // A run that diverged stopped short: its passes and times are of no run that can be had.
        let each = |number: fn(&Run) -> f64| -> Vec<f64> {
            runs.iter().filter(|run| !run.diverged()).map(number).collect()
        };
        let accuracies: Vec<f64> = runs.iter().filter_map(|run| run.final_accuracy).collect();
        let ratios: Vec<f64> = pairs(&runs, baseline)
            .filter(|(run, base)| !run.diverged() && !base.diverged())
            .map(|(run, base)| run.seconds_per_step / base.seconds_per_step)
            .collect();
        let measured = || runs.iter().filter(|r| !r.diverged()).filter_map(|r| r.flatness.as_ref());
        let eigenvalues: Vec<f64> =
            measured().filter_map(|found| Some(found.eigenvalues.first()?.value)).collect();
        AlgorithmSummary {
            accuracy: Spread::of(&accuracies),
            passes_per_step: Spread::of(&each(|run| run.passes_per_step)),
            largest_eigenvalue: Spread::of(&eigenvalues),
            largest_rise: Uncertain::of(
                measured().filter_map(|found| found.largest_rise.map(with_error)),
            ),
            trace: Uncertain::of(measured().filter_map(|found| found.trace.map(with_error))),
            average_rise: Uncertain::of(
                measured().filter_map(|found| found.average_rise.map(with_error)),
            ),
            seconds_per_step: Spread::of(&each(|run| run.seconds_per_step)),
            time_ratio: Spread::of(&ratios),
            difference,
            name,
            label,
            settings,
            runs,
        }
    }
}

impl AlgorithmSummary {
    /// How uncertain the largest eigenvalue is, as a deviation: how closely it was measured in each
    /// run (the residual) together with how far the runs are apart. `None` where neither is known.
    pub(crate) fn eigenvalue_uncertainty(&self) -> Option<f64> {
        let runs = self.runs.iter().filter(|run| !run.diverged());
        let measured = runs.filter_map(|run| run.flatness.as_ref()?.eigenvalues.first());
        let squares: Vec<f64> = measured.map(|eigenvalue| eigenvalue.residual.powi(2)).collect();
        together(&squares, self.largest_eigenvalue)
    }
}

/// The squares of errors of measurement together with the spread over runs, as a deviation.
fn together(squares: &[f64], spread: Option<Spread>) -> Option<f64> {
    let measured = Spread::of(squares).map(|spread| spread.mean);
    let apart = spread.filter(|spread| spread.count > 1).map(|spread| spread.deviation.powi(2));
    let known: Vec<f64> = [measured, apart].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>().sqrt())
}

fn with_error(measured: Measured) -> (f64, Option<f64>) {
    (measured.mean, measured.standard_error)
}

impl Uncertain {
    /// The mean of numbers that are known with an error each; `None` if there are none.
    pub(crate) fn of(measured: impl Iterator<Item = (f64, Option<f64>)>) -> Option<Self> {
        let (values, errors): (Vec<f64>, Vec<Option<f64>>) =
            measured.filter(|(value, _)| value.is_finite()).unzip();
        let spread = Spread::of(&values)?;
        let squares: Vec<f64> = errors.into_iter().flatten().map(|error| error.powi(2)).collect();
        let uncertainty = together(&squares, Some(spread));
        Some(Self { mean: spread.mean, uncertainty, count: spread.count })
    }
}

impl Spread {
    /// Mean and sample deviation of the finite values; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let mean = mean(&values)?;
        Some(Self { mean, deviation: deviation(&values), count: values.len() })
    }
}

impl Difference {
    /// Judges the paired differences of several contenders from one baseline, with Holm's
    /// correction for their number: once over the tests of a difference, and once over those of
    /// equivalence within `margin`, where one was stated. `None` for a contender without
    /// differences.
    pub(crate) fn of_all(contenders: &[Vec<f64>], margin: Option<f64>) -> Vec<Option<Self>> {
        let mut judged: Vec<Option<Self>> =
            contenders.iter().map(|differences| Self::untested(differences, margin)).collect();
        let places = |p_value: fn(&Self) -> Option<f64>| -> Vec<(usize, f64)> {
            let found = judged.iter().enumerate();
            found.filter_map(|(place, one)| Some((place, p_value(one.as_ref()?)?))).collect()
        };
        let corrected = |found: &[(usize, f64)]| {
            let p_values: Vec<f64> = found.iter().map(|(_, p_value)| *p_value).collect();
            holm(&p_values)
        };
        let tested = places(|one| one.p_value);
        let equivalences = places(|one| Some(one.equivalence?.p_value));
        let (differ, equal) = (corrected(&tested), corrected(&equivalences));
        for ((place, _), p_value) in tested.iter().zip(differ) {
            if let Some(one) = &mut judged[*place] {
                one.adjusted_p_value = Some(p_value);
            }
        }
        for ((place, _), p_value) in equivalences.iter().zip(equal) {
            if let Some(found) = judged[*place].as_mut().and_then(|one| one.equivalence.as_mut()) {
                found.adjusted_p_value = p_value;
            }
        }
        for (one, differences) in judged.iter_mut().zip(contenders) {
            if let Some(one) = one {
                one.verdict = one.judge();
                if one.verdict == Verdict::Undecided {
                    // What the strictest of Holm's tests asks for.
                    let alpha = ERROR_LEVEL / tested.len().max(1) as f64;
                    let assumed = Assumed { mean: one.mean, deviation: deviation(differences) };
                    one.further_seeds = further_pairs(assumed, margin, one.pairs, alpha);
                }
            }
        }
        judged
    }

    /// The mean with its interval and p-values, before any correction.
    fn untested(differences: &[f64], margin: Option<f64>) -> Option<Self> {
        let mean = mean(differences)?;
        let test = paired_t_test(differences);
        let equivalence = margin.and_then(|margin| {
            let test = equivalence_test(differences, margin)?;
            let interval = Interval { low: test.low, high: test.high };
            let p_value = test.p_value;
            Some(Equivalence { margin, interval, p_value, adjusted_p_value: p_value })
        });
        Some(Self {
            mean,
            interval: test.map(|test| Interval { low: test.low, high: test.high }),
            p_value: test.map(|test| test.p_value),
            adjusted_p_value: None,
            equivalence,
            pairs: differences.len(),
            verdict: Verdict::NotTested,
            further_seeds: None,
        })
    }

    /// The verdict that follows from the corrected p-values. A difference that was found counts for
    /// more than that it is smaller than the margin.
    fn judge(&self) -> Verdict {
        let Some(p_value) = self.adjusted_p_value else { return Verdict::NotTested };
        if p_value < ERROR_LEVEL {
            return if self.mean > 0.0 { Verdict::Superior } else { Verdict::Inferior };
        }
        if self.is_within_margin() { Verdict::Equivalent } else { Verdict::Undecided }
    }

    /// Whether a difference as large as the margin is ruled out.
    pub(crate) fn is_within_margin(&self) -> bool {
        self.equivalence.is_some_and(|found| found.adjusted_p_value < ERROR_LEVEL)
    }
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Each run beside the baseline's run of the same seed.
fn pairs<'run>(
    runs: &'run [Run],
    baseline: &'run [Run],
) -> impl Iterator<Item = (&'run Run, &'run Run)> {
    runs.iter().filter_map(|run| Some((run, baseline.iter().find(|base| base.seed == run.seed)?)))
}

#[cfg(test)]
mod tests;
