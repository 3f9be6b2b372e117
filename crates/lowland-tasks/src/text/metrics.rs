//! How good a classification is.

use std::fmt;

/// What was taken for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[label, prediction]`
    counts: Vec<u64>,
}

/// The number that a task is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The share of samples that are right: see [`Confusion::accuracy`].
    Accuracy,
    /// F1 of the second class: see [`Confusion::f1`].
    F1,
    /// Matthews' correlation: see [`Confusion::matthews`].
    Matthews,
}

impl Metric {
    /// The name in reports and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "F1",
            Self::Matthews => "Matthews' correlation",
        }
    }

    /// The number for what was taken for what.
    pub fn of(self, confusion: &Confusion) -> f64 {
        match self {
            Self::Accuracy => confusion.accuracy(),
            Self::F1 => confusion.f1(1),
            Self::Matthews => confusion.matthews(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Confusion {
    /// An empty table for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts a sample.
    ///
    /// # Panics
    ///
    /// If `label` or `prediction` is not below the number of classes.
    pub fn add(&mut self, label: u16, prediction: u16) {
        let [label, prediction] = [label, prediction].map(usize::from);
        assert!(label < self.classes && prediction < self.classes, "no such class");
        self.counts[label * self.classes + prediction] += 1;
    }

    /// How many samples there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many samples are right.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|class| self.at(class, class)).sum()
    }

    /// The share of samples that are right, from 0 to 1; 0 where there are none.
    pub fn accuracy(&self) -> f64 {
        ratio(self.correct() as f64, self.total() as f64)
    }

    /// The harmonic mean of precision and recall of a class, from 0 to 1; 0 where neither label nor
    /// prediction is of that class, or there is no such class.
    ///
    /// ```text
    /// F1 = 2·both / (labels of the class + predictions of the class)
    /// ```
    pub fn f1(&self, class: usize) -> f64 {
        if class >= self.classes {
            return 0.0;
        }
        let both = self.at(class, class) as f64;
        ratio(2.0 * both, (self.labels(class) + self.predictions(class)) as f64)
    }

    /// The correlation of labels and predictions, from −1 to 1; 0 where all labels or all
    /// predictions are of one class. Matthews' for two classes, and for more Gorodkin's
    /// generalisation of it (Computational Biology and Chemistry 28, 2004).
    ///
    /// ```text
    /// (c·s − Σ pₖ·tₖ) / √((s² − Σ pₖ²)·(s² − Σ tₖ²))
    /// s samples, c of them right, tₖ labels and pₖ predictions of class k
    /// ```
    pub fn matthews(&self) -> f64 {
        let (s, c) = (self.total() as f64, self.correct() as f64);
        let sums = (0..self.classes).map(|k| (self.labels(k) as f64, self.predictions(k) as f64));
        let (mut tp, mut tt, mut pp) = (0.0, 0.0, 0.0);
        for (t, p) in sums {
            tp += t * p;
            tt += t * t;
            pp += p * p;
        }
        ratio(c * s - tp, ((s * s - pp) * (s * s - tt)).sqrt())
    }

    fn at(&self, label: usize, prediction: usize) -> u64 {
        self.counts[label * self.classes + prediction]
    }

    fn labels(&self, class: usize) -> u64 {
        (0..self.classes).map(|prediction| self.at(class, prediction)).sum()
    }

    fn predictions(&self, class: usize) -> u64 {
        (0..self.classes).map(|label| self.at(label, class)).sum()
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusion(rows: &[&[u64]]) -> Confusion {
        Confusion { classes: rows.len(), counts: rows.concat() }
    }

    #[test]
    fn a_table_of_two_classes_gives_the_worked_numbers() {
        // 90 right of class 0, 4 taken for 1; 1 of class 1 missed, 5 right.
        let table = confusion(&[&[90, 4], &[1, 5]]);
        assert!((table.accuracy() - 0.95).abs() < 1e-12);
        assert!((table.f1(1) - 10.0 / 15.0).abs() < 1e-12);
        assert!((table.f1(0) - 180.0 / 185.0).abs() < 1e-12);
        // (90·5 − 4·1) / √(9·6·94·91)
        assert!((table.matthews() - 446.0 / 461_916_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_table_of_three_classes_gives_the_worked_correlation() {
        // s = 9, c = 6, t = (3, 3, 3), p = (3, 2, 4): (54 − 27) / √((81 − 29)·(81 − 27))
        let table = confusion(&[&[2, 0, 1], &[0, 2, 1], &[1, 0, 2]]);
        assert!((table.matthews() - 27.0 / (52.0 * 54.0_f64).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn all_right_is_one_and_all_wrong_is_minus_one() {
        let (right, wrong) = (confusion(&[&[3, 0], &[0, 7]]), confusion(&[&[0, 3], &[7, 0]]));
        for metric in [Metric::Accuracy, Metric::F1, Metric::Matthews] {
            assert!((metric.of(&right) - 1.0).abs() < 1e-12, "{metric}");
        }
        assert!((wrong.matthews() + 1.0).abs() < 1e-12);
        assert_eq!((wrong.accuracy(), wrong.f1(1)), (0.0, 0.0));
    }

    #[test]
    fn one_class_alone_or_nothing_at_all_gives_no_correlation() {
        let always = confusion(&[&[5, 0], &[3, 0]]);
        assert_eq!((always.matthews(), always.f1(1), always.f1(2)), (0.0, 0.0, 0.0));
        let nothing = Confusion::new(2);
        assert_eq!((nothing.accuracy(), nothing.f1(1), nothing.matthews()), (0.0, 0.0, 0.0));
    }

    #[test]
    fn samples_are_counted_under_label_and_prediction() {
        let mut table = Confusion::new(2);
        for (label, prediction) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
            table.add(label, prediction);
        }
        assert_eq!(table, confusion(&[&[1, 1], &[0, 2]]));
        assert_eq!((table.total(), table.correct()), (4, 3));
    }
}
