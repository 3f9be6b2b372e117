//! What is odd about a data set.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::words::{count, counted};

/// How many times the samples of the smallest class the largest may have before it is named.
const UNEVEN: usize = 10;

/// How many classes a line names.
const SHOWN: usize = 5;

/// The samples of a part: what each is, and its class.
pub(super) struct Samples<T> {
    pub(super) part: &'static str,
    pub(super) samples: Vec<(T, u16)>,
}

/// What is odd about the samples of all parts, the training part first: a line each.
pub(super) fn of_samples<T: Hash + Eq>(parts: &[Samples<T>], classes: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for Samples { part, samples } in parts {
        let mut counts = vec![0_usize; classes.len()];
        for (_, label) in samples {
            // There are no classes where labels stand for numbers.
            if let Some(count) = counts.get_mut(usize::from(*label)) {
                *count += 1;
            }
        }
        lines.extend(of_counts(part, classes, &counts));
        let mut labels: HashMap<&T, HashSet<u16>> = HashMap::new();
        for (sample, label) in samples {
            labels.entry(sample).or_default().insert(*label);
        }
        let torn = labels.values().filter(|labels| labels.len() > 1).count();
        if torn > 0 {
            lines.push(format!(
                "{} come with more than one label",
                counted(torn, &format!("{part} sample"))
            ));
        }
        let again = samples.len() - labels.len();
        if again > 0 {
            let what = counted(again, &format!("{part} sample"));
            lines.push(format!("{what} repeat another of the same part"));
        }
    }
    if let Some((train, others)) = parts.split_first() {
        let known: HashSet<&T> = train.samples.iter().map(|(sample, _)| sample).collect();
        for Samples { part, samples } in others {
            let seen = samples.iter().filter(|(sample, _)| known.contains(sample)).count();
            if seen > 0 {
                let what = counted(seen, &format!("{part} sample"));
                lines.push(format!("{what} are in the training part too"));
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
        let train = Samples { part: "training", samples: samples.clone() };
        let test = Samples { part: "test", samples: vec![(3, 0), (50, 1), (51, 2)] };
        assert_eq!(
            of_samples(&[train, test], &classes),
            [
                "no training sample of c",
                "1 training sample come with more than one label",
                "2 training samples repeat another of the same part",
                "1 test sample are in the training part too",
            ]
        );
        samples.extend((60..80).map(|i| (i, 0)));
        let lines = of_samples(&[Samples { part: "training", samples }], &classes);
        assert_eq!(lines[1], "uneven classes: 42 training samples of a, 3 of b");
    }
}
