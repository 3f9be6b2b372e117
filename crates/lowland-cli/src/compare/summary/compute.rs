//! From runs to a summary: the spreads, the ratios and the paired differences.

use std::collections::BTreeMap;

use super::{
    AlgorithmSummary, Difference, FORMAT, Interval, Run, Setting, Spread, Summary, Verdict,
};
use crate::compare::statistics::{INTERVAL_LEVEL, deviation, mean, paired_t_test};

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
        let contenders: Vec<Contender> = contenders.into_iter().map(Contender::cleaned).collect();
        let baseline = contenders.first().map(|first| first.runs.clone()).unwrap_or_default();
        let algorithms = contenders
            .into_iter()
            .enumerate()
            .map(|(index, contender)| contender.summarised(&baseline, index == 0))
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
        }
    }
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

    fn summarised(self, baseline: &[Run], is_baseline: bool) -> AlgorithmSummary {
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
        let rises: Vec<f64> = measured().filter_map(|found| found.largest_rise).collect();
        let differences: Vec<f64> = pairs(&runs, baseline)
            .filter_map(|(run, base)| Some(run.final_accuracy? - base.final_accuracy?))
            .collect();
        AlgorithmSummary {
            accuracy: Spread::of(&accuracies),
            passes_per_step: Spread::of(&each(|run| run.passes_per_step)),
            largest_eigenvalue: Spread::of(&eigenvalues),
            largest_rise: Spread::of(&rises),
            seconds_per_step: Spread::of(&each(|run| run.seconds_per_step)),
            time_ratio: Spread::of(&ratios),
            difference: if is_baseline { None } else { Difference::of(&differences) },
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
        let residual = Spread::of(&squares).map(|spread| spread.mean);
        let apart = self.largest_eigenvalue.filter(|spread| spread.count > 1);
        let apart = apart.map(|spread| spread.deviation.powi(2));
        let known: Vec<f64> = [residual, apart].into_iter().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>().sqrt())
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
    /// Judges paired differences of accuracy; `None` if there are none.
    pub(crate) fn of(differences: &[f64]) -> Option<Self> {
        let mean = mean(differences)?;
        let test = paired_t_test(differences);
        let verdict = match test {
            Some(test) if test.p_value < 1.0 - INTERVAL_LEVEL && mean > 0.0 => Verdict::Better,
            Some(test) if test.p_value < 1.0 - INTERVAL_LEVEL => Verdict::Worse,
            Some(_) => Verdict::NoDifference,
            None => Verdict::NotTested,
        };
        Some(Self {
            mean,
            interval: test.map(|test| Interval { low: test.low, high: test.high }),
            p_value: test.map(|test| test.p_value),
            pairs: differences.len(),
            verdict,
        })
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
mod tests {
    use super::*;
    use crate::compare::summary::fixture;

    #[test]
    fn a_spread_needs_finite_values() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[f64::NAN]), None);
        assert_eq!(Spread::of(&[2.0]), Some(Spread { mean: 2.0, deviation: 0.0, count: 1 }));
        let two = Spread::of(&[1.0, f64::INFINITY, 3.0]).unwrap();
        assert_eq!((two.mean, two.deviation, two.count), (2.0, 2.0_f64.sqrt(), 2));
    }

    #[test]
    fn the_verdict_follows_the_p_value() {
        let verdict = |differences: &[f64]| Difference::of(differences).unwrap().verdict;
        assert_eq!(verdict(&[0.020, 0.022, 0.025]), Verdict::Better);
        assert_eq!(verdict(&[-0.020, -0.022, -0.025]), Verdict::Worse);
        // p = 0.0515
        assert_eq!(verdict(&[0.022, 0.031, 0.013]), Verdict::NoDifference);
        assert_eq!(verdict(&[0.0, 0.0, 0.0]), Verdict::NoDifference);
    }

    #[test]
    fn one_seed_allows_no_test() {
        let difference = Difference::of(&[0.3]).unwrap();
        assert_eq!((difference.interval, difference.p_value), (None, None));
        assert_eq!((difference.pairs, difference.verdict), (1, Verdict::NotTested));
    }

    #[test]
    fn runs_are_paired_by_seed_and_not_by_position() {
        let mut contenders = fixture::contenders(3, 2);
        contenders[1].runs.reverse();
        contenders[1].runs.remove(0);
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        let [base, other, ..] = &summary.algorithms[..] else { panic!("three algorithms") };
        let difference = other.difference.as_ref().unwrap();
        let accuracy = |run: &Run| run.final_accuracy.unwrap();
        let expected = (0..2)
            .map(|seed| accuracy(&other.runs[1 - seed]) - accuracy(&base.runs[seed]))
            .sum::<f64>()
            / 2.0;
        assert_eq!(difference.pairs, 2);
        assert!((difference.mean - expected).abs() < 1e-12);
        assert_eq!(base.difference, None);
        assert_eq!(base.time_ratio, Some(Spread { mean: 1.0, deviation: 0.0, count: 3 }));
    }

    #[test]
    fn a_diverged_run_is_counted_and_left_out_of_the_spread() {
        let mut contenders = fixture::contenders(3, 4);
        contenders[1].runs[0].final_accuracy = Some(f64::NAN);
        contenders[1].runs[0].epochs[2].train_loss = Some(f64::INFINITY);
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        let sam = &summary.algorithms[1];
        assert_eq!((sam.diverged(), sam.finished().count()), (1, 2));
        assert_eq!(sam.accuracy.unwrap().count, 2);
        assert_eq!(sam.difference.as_ref().unwrap().pairs, 2);
        assert_eq!(sam.runs[0].diverged_in_epoch(), Some(3));
    }

    #[test]
    fn an_accuracy_without_a_finite_loss_is_a_diverged_run() {
        let mut contenders = fixture::contenders(2, 4);
        contenders[1].runs[0].epochs[3].test_loss = Some(f64::NAN);
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_eq!(summary.algorithms[1].diverged(), 1);
    }

    #[test]
    fn a_summary_survives_its_json_bit_for_bit() {
        let mut contenders = fixture::contenders(3, 4);
        contenders[2].runs[1].final_accuracy = Some(f64::NAN);
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
        assert!(json.contains(r#""verdict":"no-difference""#));
    }
}
