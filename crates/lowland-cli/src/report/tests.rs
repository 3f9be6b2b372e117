use std::collections::BTreeMap;

use lowland_tasks::task::Wording;
use proptest::prelude::*;

use super::*;
use crate::compare::equal::Equal;
use crate::compare::summary::{Contender, EpochRecord, Run, SamplingPoint, Setting, fixture};
use crate::words;

/// What no page may hold, whatever was measured.
fn check(page: &str) {
    let numbers = page.replace("inferior", "");
    for number in ["NaN", "inf"] {
        assert!(!numbers.contains(number), "the page holds a number that is not finite: {number}");
    }
    // Requests that a browser could make.
    for request in ["http:", "https:", "src=", "href=", "url(", "@import", "//cdn"] {
        assert!(!page.contains(request), "the page asks for something: {request}");
    }
    for tag in ["svg", "figure", "table", "section", "details", "dl", "div", "text", "small"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "unbalanced <{tag}>");
    }
}

fn page_of(contenders: Vec<Contender>) -> String {
    let page = html(&Summary::new(fixture::heading(), fixture::setting(), contenders));
    check(&page);
    page
}

#[test]
fn the_page_names_everything() {
    let summary = fixture::summary(3, 15);
    let page = html(&summary);
    check(&page);
    for algorithm in &summary.algorithms {
        assert!(page.contains(&format!("<span>{}</span>", algorithm.label)));
    }
    for text in [&summary.title, &summary.command, &summary.version, &summary.setting.model] {
        assert!(page.contains(text.as_str()), "missing: {text}");
    }
    for heading in ["The setting", "How to read this page", "Repeat it"] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")));
    }
    assert_eq!(page.matches("<figure>").count(), 10);
    assert_eq!(page.matches("role=\"img\"").count(), 10);
    assert_eq!(page.matches("<template").count(), 10, "every figure has its data");
    assert!(page.contains("undecided"));
}

#[test]
fn a_task_is_spoken_of_in_its_own_words() {
    let mut summary = fixture::summary(2, 2);
    summary.setting.wording = Wording {
        sample: "person".into(),
        samples: "people".into(),
        class: "joint".into(),
        classes: "joints".into(),
        answer: "joint".into(),
        right: "joints found".into(),
        measure: "PCK@0.2".into(),
        meaning: String::new(),
    };
    summary.setting.classes = 14;
    summary.question = String::new();
    for run in summary.algorithms.iter_mut().flat_map(|algorithm| &mut algorithm.runs) {
        run.scores = [("AP50".to_owned(), 0.125)].into();
    }
    let page = html(&summary);
    check(&page);
    for text in [
        "2,500 training people and 2,000 test people; 14 joints",
        "The share of the joints found in the test set",
        "One point is one joint in a hundred",
        "<th scope=\"col\">final AP50</th>",
        "<td>0.125</td>",
    ] {
        assert!(page.contains(text), "missing: {text}");
    }
    assert!(!page.contains("images") && !page.contains("classes"));
}

#[test]
fn strings_cannot_become_markup() {
    let attack = "</title><script>alert(\"x\")</script>'&";
    let mut summary = fixture::summary(2, 2);
    let setting = &mut summary.setting;
    for text in [
        &mut summary.title,
        &mut summary.question,
        &mut summary.command,
        &mut summary.version,
        &mut summary.hardware,
        &mut setting.data,
        &mut setting.model,
        &mut setting.augmentation,
    ] {
        *text = attack.into();
    }
    for algorithm in &mut summary.algorithms {
        algorithm.name = attack.into();
        algorithm.label = attack.into();
        algorithm.settings = BTreeMap::from([(attack.into(), attack.into())]);
    }
    let page = html(&summary);
    check(&page);
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(
        page.matches("</title>").count(),
        html(&fixture::summary(2, 2)).matches("</title>").count()
    );
    assert!(!page.contains("alert(\"x\")"));
}

#[test]
fn small_comparisons_have_a_page() {
    page_of(Vec::new());
    page_of(fixture::contenders(1, 1));
    page_of(fixture::contenders(3, 1));
    page_of(fixture::contenders(1, 15));
    page_of(fixture::contenders(3, 15).into_iter().take(1).collect());
    let mut without_runs = fixture::contenders(1, 1);
    without_runs[1].runs.clear();
    page_of(without_runs);
}

#[test]
fn without_sampling_there_is_no_sampling_figure() {
    let page = page_of(fixture::contenders(3, 15).into_iter().take(2).collect());
    assert_eq!(page.matches("<figure>").count(), 6, "with the learning rate");
    assert!(!page.contains("took the second gradient"));
}

#[test]
fn diverged_runs_are_named_and_drawn_around() {
    let mut contenders = fixture::contenders(3, 4);
    contenders[1].runs[0].epochs[1].train_loss = Some(f64::NAN);
    contenders[1].runs[0].epochs[3].test_loss = Some(f64::INFINITY);
    let page = page_of(contenders.clone());
    assert!(page.contains("1 of 3 SAM runs diverged: seed 0 diverged in epoch 2"));
    for run in contenders.iter_mut().flat_map(|contender| &mut contender.runs) {
        run.final_accuracy = None;
    }
    assert!(page_of(contenders).contains("SGD diverged on every seed"));
}

/// Runs that got the same passes end after different numbers of epochs, and at other learning
/// rates.
#[test]
fn runs_of_different_lengths_have_a_page() {
    let mut contenders = fixture::contenders(3, 8);
    let last = contenders[0].runs[0].final_accuracy.unwrap();
    for (run, epochs) in contenders[1].runs.iter_mut().zip([4, 5, 4]) {
        run.epochs.truncate(epochs);
        run.epochs.iter_mut().for_each(|record| record.learning_rate /= 2.0);
        run.epochs[epochs - 1].test_accuracy = Some(last);
    }
    let setting = Setting { equal: Equal::Passes, ..fixture::setting() };
    let page = html(&Summary::new(fixture::heading(), setting, contenders));
    check(&page);
    for text in [
        "with equal passes for all",
        "that SGD's run of the same seed used, however many steps",
        "time of a step, SGD = 1",
        "Where seeds end after different numbers of epochs",
        "learning rate, SAM",
    ] {
        assert!(page.contains(&prose(text)), "missing: {text}");
    }
    // Beside the name stands the mean of all three, and not that of the one that trains longer.
    assert!(page.contains(&prose(&words::percent(last))));
    assert!(!page_of(fixture::contenders(3, 8)).contains("learning rate, SAM"));
}

fn share() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![4 => (0.0..=1.0).prop_map(Some), 1 => Just(None), 1 => Just(Some(f64::NAN))]
}

fn loss() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![4 => (0.0..10.0).prop_map(Some), 1 => prop::num::f64::ANY.prop_map(Some), 1 => Just(None)]
}

fn epoch_record() -> impl Strategy<Value = EpochRecord> {
    let numbers = (0.0..1.0, 0.0..1e4, 0.0..=1.0, 0.0..1e5);
    (1_usize..20, loss(), loss(), share(), numbers).prop_map(
        |(epoch, train_loss, test_loss, test_accuracy, numbers)| EpochRecord {
            epoch,
            train_loss,
            train_accuracy: None,
            average_accuracy: None,
            average_loss: None,
            validation_loss: None,
            validation_accuracy: None,
            test_loss,
            test_accuracy,
            scores: BTreeMap::new(),
            learning_rate: numbers.0,
            passes: numbers.1,
            second_gradient_share: numbers.2,
            seconds: numbers.3,
        },
    )
}

fn run() -> impl Strategy<Value = Run> {
    let sampling = (0_usize..500, 0.0..=1.0).prop_map(|(step, share)| SamplingPoint {
        step,
        share,
        psf_norm: Some(share),
        gradient_norm: Some(share),
        radius: None,
    });
    let accuracies = (share(), share());
    // Clocks and counters may be zero, and a clock that stands still makes ratios that are not
    // finite.
    let costs = (0.0..4.0, prop_oneof![Just(0.0), 0.0..10.0], 0.0..1e5);
    let records = prop::collection::vec(epoch_record(), 0..6);
    (0_u64..4, accuracies, costs, records, prop::collection::vec(sampling, 0..6)).prop_map(
        |(seed, accuracies, costs, epochs, sampling)| Run {
            seed,
            final_accuracy: accuracies.0,
            best_accuracy: accuracies.1,
            best_epoch: None,
            passes_per_step: costs.0,
            seconds_per_step: costs.1,
            training_seconds: costs.2,
            scores: epochs.last().map(|epoch| epoch.scores.clone()).unwrap_or_default(),
            epochs,
            sampling,
            flatness: None,
            confusion: None,
        },
    )
}

fn contender() -> impl Strategy<Value = Contender> {
    // Letters that cannot spell the forbidden words by chance, and all that HTML treats specially.
    ("[A-EG-M<>&\"' é%±]{0,12}", prop::collection::vec(run(), 0..5)).prop_map(|(label, runs)| {
        Contender { name: label.to_lowercase(), label, settings: BTreeMap::new(), runs }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_comparison_has_a_page(contenders in prop::collection::vec(contender(), 0..10)) {
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        check(&html(&summary));
        let json = serde_json::to_string(&summary).unwrap();
        check(&html(&serde_json::from_str(&json).unwrap()));
    }
}
