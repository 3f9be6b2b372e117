//! What is odd about a data set.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::words::{agreeing, count, counted};

/// How many times the samples of the smallest class the largest may have before it is named.
const UNEVEN: usize = 10;

/// How many classes a line names.
const SHOWN: usize = 5;

/// How many samples a line names.
const NAMED: usize = 3;

/// The samples of a part: what each is, and its class.
#[expect(clippy::struct_field_names, reason = "they are the samples, beside what is known of them")]
pub(super) struct Samples<'a, T> {
    pub(super) part: &'static str,
    pub(super) samples: Vec<(T, u16)>,
    /// The file of each; empty where they have none of their own.
    pub(super) files: &'a [String],
}

impl<T> Samples<'_, T> {
    /// The names of the first of some samples, each with the one that it is the same as, after a
    /// colon; nothing where samples have no files.
    fn named(&self, pairs: &[(usize, usize)], others: &Self) -> String {
        let name = |&(place, other): &(usize, usize)| {
            let (name, other) = (self.files.get(place)?, others.files.get(other)?);
            Some(format!("{name} (as {other})"))
        };
        let names: Vec<String> = pairs.iter().take(NAMED).filter_map(name).collect();
        match (names.len(), pairs.len().saturating_sub(NAMED)) {
            (0, _) => String::new(),
            (_, 0) => format!(": {}", names.join(", ")),
            (_, more) => format!(": {} and {} more", names.join(", "), count(more)),
        }
    }
}

/// What is odd about the samples of all parts, the training part first: a line each.
pub(super) fn of_samples<T: Hash + Eq>(
    parts: &[Samples<'_, T>],
    classes: &[String],
) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts {
        let mut counts = vec![0_usize; classes.len()];
        // Where each sample is first, and which places have it again.
        let mut first: HashMap<&T, usize> = HashMap::new();
        let (mut again, mut torn) = (Vec::new(), Vec::new());
        let mut is_torn = HashSet::new();
        for (place, (sample, label)) in part.samples.iter().enumerate() {
            // There are no classes where labels stand for numbers.
            if let Some(count) = counts.get_mut(usize::from(*label)) {
                *count += 1;
            }
            let &mut known = first.entry(sample).or_insert(place);
            if known != place {
                again.push((place, known));
                if part.samples[known].1 != *label && is_torn.insert(known) {
                    torn.push((place, known));
                }
            }
        }
        lines.extend(of_counts(part.part, classes, &counts));
        let sample = format!("{} sample", part.part);
        if !torn.is_empty() {
            let come = agreeing(torn.len(), "comes", "come");
            let (what, names) = (counted(torn.len(), &sample), part.named(&torn, part));
            lines.push(format!("{what} {come} with more than one label{names}"));
        }
        if !again.is_empty() {
            let repeat = agreeing(again.len(), "repeats", "repeat");
            let (what, names) = (counted(again.len(), &sample), part.named(&again, part));
            lines.push(format!("{what} {repeat} another of the same part{names}"));
        }
    }
    if let Some((train, others)) = parts.split_first() {
        let mut known: HashMap<&T, usize> = HashMap::new();
        for (place, (sample, _)) in train.samples.iter().enumerate() {
            known.entry(sample).or_insert(place);
        }
        for part in others {
            let samples = part.samples.iter().enumerate();
            let seen = samples.filter_map(|(i, (sample, _))| Some((i, *known.get(sample)?)));
            let seen: Vec<(usize, usize)> = seen.collect();
            if !seen.is_empty() {
                let what = counted(seen.len(), &format!("{} sample", part.part));
                let (are, names) = (agreeing(seen.len(), "is", "are"), part.named(&seen, train));
                lines.push(format!("{what} {are} in the training part too{names}"));
            }
        }
    }
    if classes.len() == 1 {
        lines.push("there is only one class".to_owned());
    }
    lines
}

/// Classes without samples, and classes of very different sizes.
fn of_counts(part: &str, classes: &[String], counts: &[usize]) -> Vec<String> {
    let mut lines = Vec::new();
    let empty: Vec<&str> = classes
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count == 0)
        .map(|(class, _)| class.as_str())
        .collect();
    if !empty.is_empty() {
        let shown = empty[..empty.len().min(SHOWN)].join(", ");
        let more = match empty.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {} more", count(more)),
        };
        lines.push(format!("no {part} sample of {shown}{more}"));
    }
    let present = || (0..classes.len()).filter(|&class| counts[class] > 0);
    let (least, most) =
        (present().min_by_key(|&c| counts[c]), present().max_by_key(|&c| counts[c]));
    if let (Some(least), Some(most)) = (least, most)
        && counts[most] > UNEVEN.saturating_mul(counts[least])
    {
        lines.push(format!(
            "uneven classes: {} {part} samples of {}, {} of {}",
            count(counts[most]),
            classes[most],
            count(counts[least]),
            classes[least]
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_torn_shared_and_missing_samples_are_counted() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        let mut samples: Vec<(u32, u16)> = (0..22).map(|i| (i, 0)).collect();
        samples.extend([(1, 1), (40, 1), (40, 1)]);
        let train = Samples { part: "training", samples: samples.clone(), files: &[] };
        let test = vec![(3, 0), (50, 1), (51, 2)];
        let test = Samples { part: "test", samples: test, files: &[] };
        assert_eq!(
            of_samples(&[train, test], &classes),
            [
                "no training sample of c",
                "1 training sample comes with more than one label",
                "2 training samples repeat another of the same part",
                "1 test sample is in the training part too",
            ]
        );
        samples.extend((60..80).map(|i| (i, 0)));
        let lines = of_samples(&[Samples { part: "training", samples, files: &[] }], &classes);
        assert_eq!(lines[1], "uneven classes: 42 training samples of a, 3 of b");
    }

    #[test]
    fn the_first_files_are_named_with_those_that_they_repeat() {
        let files: Vec<String> = (0..6).map(|i| format!("{i}.png")).collect();
        let samples = vec![(1, 0), (1, 1), (1, 0), (2, 0), (1, 0), (1, 0)];
        let train = Samples { part: "training", samples, files: &files };
        let test = ["x.png".to_owned()];
        let test = Samples { part: "test", samples: vec![(2, 0)], files: &test };
        assert_eq!(
            of_samples(&[train, test], &["a".to_owned(), "b".to_owned()])[..3],
            [
                "1 training sample comes with more than one label: 1.png (as 0.png)",
                "4 training samples repeat another of the same part: 1.png (as 0.png), 2.png (as \
                 0.png), 4.png (as 0.png) and 1 more",
                "no test sample of b",
            ]
        );
    }
}
