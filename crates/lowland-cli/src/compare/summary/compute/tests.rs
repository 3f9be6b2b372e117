use super::*;
use crate::compare::summary::fixture;

#[test]
fn errors_of_measurement_and_the_spread_of_runs_add_up() {
    let of = |values: &[(f64, Option<f64>)]| Uncertain::of(values.iter().copied());
    assert_eq!(of(&[]), None);
    let one = of(&[(3.0, None)]).unwrap();
    assert_eq!((one.mean, one.uncertainty, one.count), (3.0, None, 1));
    assert_eq!(of(&[(3.0, Some(0.5))]).unwrap().uncertainty, Some(0.5));
    // A variance of 2 over runs, and a mean square of 7 of the errors.
    let two = of(&[(1.0, Some(1.0)), (3.0, Some(13.0_f64.sqrt())), (f64::NAN, None)]).unwrap();
    assert!((two.uncertainty.unwrap() - 3.0).abs() < 1e-12, "{two:?}");
}

#[test]
fn a_spread_needs_finite_values() {
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(Spread::of(&[f64::NAN]), None);
    assert_eq!(Spread::of(&[2.0]), Some(Spread { mean: 2.0, deviation: 0.0, count: 1 }));
    let two = Spread::of(&[1.0, f64::INFINITY, 3.0]).unwrap();
    assert_eq!((two.mean, two.deviation, two.count), (2.0, 2.0_f64.sqrt(), 2));
}

fn alone(differences: &[f64], margin: Option<f64>) -> Difference {
    Difference::of_all(&[differences.to_vec()], margin).remove(0).unwrap()
}

#[test]
fn the_verdict_follows_the_p_value() {
    let verdict = |differences: &[f64]| alone(differences, None).verdict;
    assert_eq!(verdict(&[0.020, 0.022, 0.025]), Verdict::Superior);
    assert_eq!(verdict(&[-0.020, -0.022, -0.025]), Verdict::Inferior);
    // p = 0.0515
    assert_eq!(verdict(&[0.022, 0.031, 0.013]), Verdict::Undecided);
    assert_eq!(verdict(&[0.0, 0.0, 0.0]), Verdict::Undecided);
    let within = |differences: &[f64]| alone(differences, Some(0.005)).verdict;
    assert_eq!(within(&[0.001, -0.001, 0.0005, 0.0]), Verdict::Equivalent);
    assert_eq!(within(&[0.0, 0.0]), Verdict::Equivalent);
    assert_eq!(within(&[0.009, -0.009, 0.004]), Verdict::Undecided);
    let small = alone(&[0.0010, 0.0011, 0.0012], Some(0.005));
    assert!(small.verdict == Verdict::Superior && small.is_within_margin(), "{small:?}");
}

#[test]
fn several_contenders_take_a_smaller_p_value_each() {
    // p = 0.0103 alone.
    let differences = vec![0.020, 0.022, 0.016];
    let undecided = vec![0.022, 0.031, 0.013];
    let verdicts = |contenders: &[Vec<f64>]| -> Vec<Verdict> {
        let judged = Difference::of_all(contenders, None);
        judged.into_iter().map(|one| one.unwrap().verdict).collect()
    };
    assert_eq!(verdicts(std::slice::from_ref(&differences)), [Verdict::Superior]);
    let many = [vec![differences.clone()], vec![undecided; 6]].concat();
    assert_eq!(verdicts(&many), [Verdict::Undecided; 7]);
    let judged = Difference::of_all(&[differences, Vec::new(), vec![0.1]], None);
    assert_eq!(judged[1], None);
    let [Some(first), _, Some(last)] = &judged[..] else { panic!("{judged:?}") };
    assert_eq!(first.adjusted_p_value, first.p_value, "one alone was tested");
    assert_eq!(last.verdict, Verdict::NotTested);
}

#[test]
fn what_is_undecided_says_how_many_seeds_would_decide() {
    let undecided = alone(&[0.022, 0.031, 0.013], None);
    assert_eq!(undecided.further_seeds, Some(1));
    assert_eq!(alone(&[0.020, 0.022, 0.025], None).further_seeds, None);
    let far = alone(&[0.01, -0.01, 0.0001], None);
    assert_eq!((far.verdict, far.further_seeds), (Verdict::Undecided, None));
    let wide = alone(&[0.004, -0.004, 0.0002], Some(0.005)).further_seeds.unwrap();
    assert!((2..20).contains(&wide), "{wide}");
}

#[test]
fn one_seed_allows_no_test() {
    let difference = alone(&[0.3], Some(0.5));
    assert_eq!((difference.interval, difference.p_value), (None, None));
    assert_eq!((difference.pairs, difference.verdict), (1, Verdict::NotTested));
    assert_eq!(difference.equivalence, None);
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
    assert!(json.contains(r#""verdict":"undecided""#));
}
