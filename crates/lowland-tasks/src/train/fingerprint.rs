//! What distinguishes one set of data from another.

use serde::{Deserialize, Serialize};

use crate::data::remarks::first_of;
use crate::task::{Split, Task, accuracy};

/// How many names a difference lists.
const NAMED: usize = 5;

/// What a run keeps of its data, to know it again: how many samples each part has, their checksums,
/// and the names of the classes or joints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The samples that are learned from, with the labels of the run.
    pub train: PartPrint,
    /// Those that are chosen by; without samples where there are none.
    #[serde(default, skip_serializing_if = "PartPrint::is_empty")]
    pub validation: PartPrint,
    /// Those that are tested on.
    pub test: PartPrint,
    /// What form a sample has, in words, such as `8x8 pixels, 3 channels`; empty where it can have any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub form: String,
    /// The names of the classes in the order of their labels, or those of the joints; none where
    /// numbers are looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What the task is measured by.
    #[serde(default = "accuracy")]
    pub measure: String,
}

/// A part of the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartPrint {
    /// How many samples it has.
    pub samples: usize,
    /// [`Task::checksum`]: SHA-256, in hexadecimal.
    pub sha256: String,
}

impl PartPrint {
    fn is_empty(&self) -> bool {
        self.samples == 0
    }
}

impl Fingerprint {
    /// That of a task's data.
    pub fn of(task: &dyn Task) -> Self {
        let part = |split| PartPrint { samples: task.count(split), sha256: task.checksum(split) };
        Self {
            train: part(Split::Train),
            validation: part(Split::Validation),
            test: part(Split::Test),
            form: task.form_of_samples(),
            names: [task.class_names(), task.joint_names()].concat(),
            measure: task.wording().measure,
        }
    }

    /// What is different in the data of `now`, in words, one difference each; none where it is the
    /// same data.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let parts = [
            ("training", &self.train, &now.train),
            ("validation", &self.validation, &now.validation),
            ("test", &self.test, &now.test),
        ];
        let parts = parts.into_iter().filter_map(|(part, then, now)| differs(part, then, now));
        let names = self.renamed(now).map(|how| format!("names of classes or joints: {how}"));
        let form = self.reformed(now).map(|how| format!("form of the samples: {how}"));
        let measure = (self.measure != now.measure)
            .then(|| format!("measured by {} then, by {} now", self.measure, now.measure));
        names.into_iter().chain(form).chain(parts).chain(measure).collect()
    }

    /// How the form of the samples is different in the data of `now`, in words; `None` where it is the
    /// same.
    pub fn reformed(&self, now: &Self) -> Option<String> {
        let known = |form: &str| if form.is_empty() { "any".to_owned() } else { form.to_owned() };
        let differs = self.form != now.form;
        differs.then(|| format!("{} then, {} now", known(&self.form), known(&now.form)))
    }

    /// How the names of the classes or joints are different in the data of `now`, in words; `None`
    /// where they are the same in the same order. Otherwise labels mean something else now.
    pub fn renamed(&self, now: &Self) -> Option<String> {
        if self.names == now.names {
            return None;
        }
        let without = |names: &[String], others: &[String]| {
            let missing: Vec<String> =
                names.iter().filter(|name| !others.contains(name)).cloned().collect();
            (!missing.is_empty()).then(|| first_of(&missing, NAMED, ", "))
        };
        let gone = without(&self.names, &now.names).map(|names| format!("without {names}"));
        let new = without(&now.names, &self.names).map(|names| format!("with {names}"));
        let how: Vec<String> = gone.into_iter().chain(new).collect();
        let how = if how.is_empty() { "in another order".to_owned() } else { how.join(", ") };
        Some(format!("{} then, {} now, {how}", self.names.len(), now.names.len()))
    }
}

/// How a part is different, in words.
fn differs(part: &str, then: &PartPrint, now: &PartPrint) -> Option<String> {
    if then == now {
        return None;
    }
    let none_or = |count: usize| if count == 0 { "none".to_owned() } else { count.to_string() };
    Some(match (then.samples, now.samples) {
        (then, now) if then == now => {
            format!("as many {part} samples as then ({now}), but not the same ones")
        }
        (0, now) => format!("no {part} samples then, {now} now"),
        (1, now) => format!("1 {part} sample then, {} now", none_or(now)),
        (then, now) => format!("{then} {part} samples then, {} now", none_or(now)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(train: usize, test: &str, names: &[&str]) -> Fingerprint {
        Fingerprint {
            train: PartPrint { samples: train, sha256: format!("{train}") },
            validation: PartPrint::default(),
            test: PartPrint { samples: 4, sha256: test.to_owned() },
            form: "8x8 pixels, 3 channels".to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
            measure: accuracy(),
        }
    }

    #[test]
    fn differences_say_what_was_and_what_is() {
        let then = print(9, "a", &["ant", "bee", "cat"]);
        assert_eq!(then.differences(&then), [""; 0]);
        assert_eq!(
            then.differences(&print(8, "b", &["ant", "cat", "dog"])),
            [
                "names of classes or joints: 3 then, 3 now, without bee, with dog",
                "9 training samples then, 8 now",
                "as many test samples as then (4), but not the same ones",
            ]
        );
        let turned = then.renamed(&print(9, "a", &["cat", "bee", "ant"])).unwrap();
        assert_eq!(turned, "3 then, 3 now, in another order");
        let many: Vec<String> = (0..9).map(|class| format!("c{class}")).collect();
        let many = print(9, "a", &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            print(9, "a", &[]).renamed(&many).unwrap(),
            "0 then, 9 now, with c0, c1, c2, c3, c4 and 4 more"
        );
    }

    #[test]
    fn a_validation_part_that_is_new_is_a_difference() {
        let (then, mut now) = (print(9, "a", &[]), print(9, "a", &[]));
        now.validation = PartPrint { samples: 2, sha256: "v".to_owned() };
        assert_eq!(then.differences(&now), ["no validation samples then, 2 now"]);
        assert_eq!(now.differences(&then), ["2 validation samples then, none now"]);
        let wider = Fingerprint { form: "16x8 pixels, 3 channels".to_owned(), ..then.clone() };
        let form = "form of the samples: 8x8 pixels, 3 channels then, 16x8 pixels, 3 channels now";
        assert_eq!(then.differences(&wider), [form]);
        let other = Fingerprint { measure: "F1".to_owned(), ..then.clone() };
        assert_eq!(then.differences(&other), ["measured by accuracy then, by F1 now"]);
    }
}
