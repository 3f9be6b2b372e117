//! The findings of a summary in words, the same on the terminal and on the page.

use crate::compare::equal::Equal;
use crate::compare::summary::{
    AlgorithmSummary, Difference, Equivalence, Setting, Spread, Summary, Verdict,
};
use crate::program;
use crate::words::{MISSING, counted, number, percent, points, significant};

/// With more algorithms than this beside the baseline, a sentence on all of them is too long.
const MANY: usize = 3;

/// A mean share with the deviation of single runs: "81.4 % ± 0.8".
pub(crate) fn percent_spread(spread: &Spread) -> String {
    with_deviation(percent(spread.mean), spread, 100.0, 1)
}

/// A mean with the deviation of single runs: "2.03 ± 0.01".
pub(crate) fn spread(spread: &Spread) -> String {
    with_deviation(number(spread.mean, 2), spread, 1.0, 2)
}

/// The largest eigenvalue of the Hessian with its uncertainty: "12.3 ± 0.6".
pub(crate) fn eigenvalue(algorithm: &AlgorithmSummary) -> String {
    let Some(Spread { mean, .. }) = algorithm.largest_eigenvalue else { return MISSING.into() };
    let mean = significant(mean, 3);
    match algorithm.eigenvalue_uncertainty() {
        Some(uncertainty) => format!("{mean} ± {}", significant(uncertainty, 2)),
        None => mean,
    }
}

/// Puts the deviation behind the mean, unless there is none at this precision.
fn with_deviation(mean: String, spread: &Spread, factor: f64, decimals: usize) -> String {
    let deviation = number(factor * spread.deviation, decimals);
    if deviation == number(0.0, decimals) { mean } else { format!("{mean} ± {deviation}") }
}

/// The interval of a difference in points, "+0.9 to +3.5"; `None` where no test was possible.
pub(crate) fn interval(difference: &Difference) -> Option<String> {
    let interval = difference.interval?;
    Some(format!("{} to {}", points(interval.low), points(interval.high)))
}

/// Why a difference has no interval.
pub(crate) fn untested(difference: &Difference) -> &'static str {
    if difference.pairs < 2 {
        "one seed allows no test"
    } else {
        "every seed has the same difference, which allows no test"
    }
}

/// "time", or "time of a step" where whole runs take the same time, or about as much, by design.
pub(crate) fn time_of(setting: &Setting) -> &'static str {
    match setting.equal {
        Equal::Epochs => "time",
        Equal::Passes | Equal::Time => "time of a step",
    }
}

/// How many runs of an algorithm diverged, "1 of 3 SAM runs diverged"; `None` if none did.
pub(crate) fn diverged(algorithm: &AlgorithmSummary) -> Option<String> {
    let (diverged, all) = (algorithm.diverged(), algorithm.runs.len());
    let label = &algorithm.label;
    match diverged {
        0 => None,
        _ if diverged == all => Some(format!("{label} diverged on every seed")),
        _ => Some(format!("{diverged} of {all} {label} runs diverged")),
    }
}

/// Which planned runs are not done, in one sentence; `None` where all are.
pub(crate) fn missing(summary: &Summary) -> Option<String> {
    let count = summary.missing.len();
    if count == 0 {
        return None;
    }
    let done: usize = summary.algorithms.iter().map(|algorithm| algorithm.runs.len()).sum();
    let of = |algorithm: &AlgorithmSummary| {
        let seeds = summary.missing.iter().filter(|run| run.label == algorithm.label);
        let seeds: Vec<String> = seeds
            .map(|run| match run.epochs {
                0 => run.seed.to_string(),
                epochs => format!("{} ({} done)", run.seed, counted(epochs, "epoch")),
            })
            .collect();
        let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
        (!seeds.is_empty()).then(|| format!("{} {noun} {}", algorithm.label, seeds.join(", ")))
    };
    let runs: Vec<String> = summary.algorithms.iter().filter_map(of).collect();
    Some(format!(
        "{} of {} {} missing: {}. {} trains what is missing.",
        crate::words::count(count),
        counted(count + done, "run"),
        if count == 1 { "is" } else { "are" },
        runs.join("; "),
        program::command("resume")
    ))
}

/// The comparison in one sentence. Where many algorithms show no difference, they share a clause.
pub(crate) fn answer(summary: &Summary) -> String {
    let Some((baseline, others)) = summary.algorithms.split_first() else {
        return "No algorithm was run.".into();
    };
    let mut clauses: Vec<String> =
        if others.is_empty() { vec![alone(baseline)] } else { clauses(others, summary) };
    for algorithm in &summary.algorithms {
        if let (Some(diverged), Some(_)) = (diverged(algorithm), algorithm.accuracy) {
            let verb = if algorithm.diverged() == 1 { "is" } else { "are" };
            clauses.push(format!("{diverged} and {verb} left out of these numbers"));
        }
    }
    let sentence = format!("{}.", clauses.join("; "));
    match summary.setting.held_equal().filter(|_| !others.is_empty()) {
        Some(equal) => format!("With {equal}, {sentence}"),
        None => capitalised(&sentence),
    }
}

/// A sentence begins with a capital letter, unless it begins with a name as it is spelled.
fn capitalised(sentence: &str) -> String {
    match sentence.chars().next() {
        Some(first) if sentence.starts_with("no ") || sentence.starts_with("whether ") => {
            format!("{}{}", first.to_uppercase(), &sentence[1..])
        }
        _ => sentence.into(),
    }
}

fn clauses(others: &[AlgorithmSummary], summary: &Summary) -> Vec<String> {
    let (baseline, time) = (&summary.algorithms[0], time_of(&summary.setting));
    let is_plain = |algorithm: &&AlgorithmSummary| {
        let difference = algorithm.difference.as_ref();
        difference.is_some_and(|difference| difference.verdict == Verdict::Undecided)
    };
    let (plain, differing): (Vec<&AlgorithmSummary>, Vec<_>) = if others.len() > MANY {
        others.iter().partition(is_plain)
    } else {
        (Vec::new(), others.iter().collect())
    };
    let mut clauses: Vec<String> =
        differing.iter().map(|algorithm| clause(algorithm, baseline, time)).collect();
    let labels: Vec<&str> = plain.iter().map(|algorithm| algorithm.label.as_str()).collect();
    if let Some((last, front)) = labels.split_last() {
        let front = if front.is_empty() { String::new() } else { front.join(", ") + " and " };
        let base =
            baseline.accuracy.map_or_else(String::new, |base| format!("'s {}", percent(base.mean)));
        let verb = if plain.len() == 1 { "differs" } else { "differ" };
        clauses.push(format!(
            "whether {front}{last} {verb} from {}{base} is undecided",
            baseline.label
        ));
    }
    clauses
}

fn alone(algorithm: &AlgorithmSummary) -> String {
    let label = &algorithm.label;
    let Some(accuracy) = &algorithm.accuracy else { return without_accuracy(algorithm) };
    let seeds = counted(accuracy.count, "seed");
    let reached = percent_spread(accuracy);
    format!(
        "{label} reached {reached} over {seeds}; there is no other algorithm to compare it with"
    )
}

/// What is said of an algorithm without a run that reached its end with finite numbers.
fn without_accuracy(algorithm: &AlgorithmSummary) -> String {
    let label = &algorithm.label;
    if algorithm.runs.is_empty() {
        format!("no {label} run is done yet")
    } else {
        format!("{label} diverged on every seed")
    }
}

fn clause(algorithm: &AlgorithmSummary, baseline: &AlgorithmSummary, time: &str) -> String {
    let (label, base_label) = (&algorithm.label, &baseline.label);
    let Some(accuracy) = &algorithm.accuracy else { return without_accuracy(algorithm) };
    let reached = format!("{label} reached {}", percent(accuracy.mean));
    let (Some(difference), Some(base)) = (&algorithm.difference, &baseline.accuracy) else {
        return format!(
            "{reached}, with no finished {base_label} run of the same seed to compare it with"
        );
    };
    let base = format!("{base_label}'s {}", percent(base.mean));
    format!("{reached}{}{}", compared(difference, &base), cost(algorithm, base_label, time))
}

/// The difference in words; `base` names the baseline and its accuracy.
fn compared(difference: &Difference, base: &str) -> String {
    let seeds = counted(difference.pairs, "seed");
    let signed = points(difference.mean);
    let size = signed.trim_start_matches(['+', '−']);
    let Some(interval) = interval(difference) else {
        let reason = untested(difference);
        return format!(" beside {base}, not tested ({signed} points; {reason})");
    };
    let side = match difference.verdict {
        Verdict::Superior => "above",
        Verdict::Inferior => "below",
        Verdict::Equivalent => {
            let within = difference.equivalence.map(|found| within(&found)).unwrap_or_default();
            return format!(" beside {base}, {within} with {seeds} ({signed} points)");
        }
        Verdict::Undecided | Verdict::NotTested => {
            let further = further_seeds(difference).map(|text| format!("; {text}"));
            return format!(
                " beside {base}, undecided with {seeds} ({signed} points, 95 % interval {interval}{})",
                further.unwrap_or_default()
            );
        }
    };
    let within = match difference.equivalence {
        Some(Equivalence { margin, .. }) if difference.is_within_margin() => {
            format!(", but by less than the margin of {}", margin_points(margin))
        }
        _ => String::new(),
    };
    format!(", {size} points {side} {base}{within} (95 % interval {interval}, {seeds})")
}

/// Equivalence in words: "equivalent within 0.5 points (90 % interval −0.2 to +0.3)".
fn within(found: &Equivalence) -> String {
    let Equivalence { margin, interval, .. } = found;
    format!(
        "equivalent within {} (90 % interval {} to {})",
        margin_points(*margin),
        points(interval.low),
        points(interval.high)
    )
}

/// A margin in points: "1 point", "0.5 points".
pub(crate) fn margin_points(margin: f64) -> String {
    let points = significant(100.0 * margin, 3);
    let brief = points.trim_end_matches('0').trim_end_matches('.');
    let brief = if points.contains('.') { brief } else { &points };
    format!("{brief} {}", if brief == "1" { "point" } else { "points" })
}

/// How many further seeds would probably decide; `None` where that is not known. Beyond a thousand
/// it is no number any more.
pub(crate) fn further_seeds(difference: &Difference) -> Option<String> {
    if difference.verdict != Verdict::Undecided || difference.pairs < 2 {
        return None;
    }
    Some(match difference.further_seeds {
        Some(seeds) => format!("about {} would probably decide", counted(seeds, "more seed")),
        None => "a thousand seeds would probably not decide".to_owned(),
    })
}

/// What an algorithm costs, as the end of a sentence.
pub(super) fn cost(algorithm: &AlgorithmSummary, base_label: &str, time: &str) -> String {
    let passes = algorithm
        .passes_per_step
        .map(|passes| format!("{} passes per step", number(passes.mean, 2)));
    let time = algorithm
        .time_ratio
        .map(|ratio| format!("{} times {base_label}'s {time}", number(ratio.mean, 2)));
    let parts: Vec<String> = passes.into_iter().chain(time).collect();
    if parts.is_empty() { String::new() } else { format!(", at {}", parts.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::compare::summary::{Contender, Missing, fixture};

    #[test]
    fn the_answer_names_differences_and_their_absence() {
        assert_snapshot!(answer(&fixture::summary(3, 15)), @"SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes per step and 2.03 times SGD's time; ARSAM reached 80.6 % beside SGD's 79.2 %, undecided with 3 seeds (+1.4 points, 95 % interval −1.0 to +3.8; about 5 more seeds would probably decide), at 1.52 passes per step and 1.57 times SGD's time.");
    }

    #[test]
    fn what_was_equal_for_all_is_named() {
        let mut summary = fixture::summary(3, 15);
        summary.setting.equal = Equal::Passes;
        assert_snapshot!(answer(&summary), @"With equal passes for all, SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes per step and 2.03 times SGD's time of a step; ARSAM reached 80.6 % beside SGD's 79.2 %, undecided with 3 seeds (+1.4 points, 95 % interval −1.0 to +3.8; about 5 more seeds would probably decide), at 1.52 passes per step and 1.57 times SGD's time of a step.");
        summary.setting.limit = Some(120.0);
        assert_eq!(summary.setting.held_equal().unwrap(), "120 passes for each run");
        summary.setting.equal = Equal::Time;
        assert_eq!(summary.setting.held_equal().unwrap(), "2 min 0 s of training for each run");
        assert_eq!(fixture::setting().held_equal(), None);
    }

    #[test]
    fn one_seed_is_not_enough() {
        assert_snapshot!(answer(&fixture::summary(1, 15)), @"SAM reached 82.0 % beside SGD's 79.6 %, not tested (+2.4 points; one seed allows no test), at 2.00 passes per step and 2.03 times SGD's time; ARSAM reached 79.9 % beside SGD's 79.6 %, not tested (+0.3 points; one seed allows no test), at 1.52 passes per step and 1.57 times SGD's time.");
    }

    #[test]
    fn equivalence_is_named_with_its_margin() {
        let mut contenders = fixture::contenders(3, 15);
        contenders.remove(1);
        for (place, run) in contenders[1].runs.iter_mut().enumerate() {
            let base = contenders_accuracy(place) + [0.001, -0.001, 0.0][place];
            run.final_accuracy = Some(base);
        }
        let within = |margin| {
            let setting = Setting { margin: Some(margin), ..fixture::setting() };
            answer(&Summary::new(fixture::heading(), setting, contenders.clone()))
        };
        assert_snapshot!(within(0.005), @"ARSAM reached 79.2 % beside SGD's 79.2 %, equivalent within 0.5 points (90 % interval −0.2 to +0.2) with 3 seeds (0.0 points), at 1.52 passes per step and 1.57 times SGD's time.");
        assert_snapshot!(within(0.001), @"ARSAM reached 79.2 % beside SGD's 79.2 %, undecided with 3 seeds (0.0 points, 95 % interval −0.2 to +0.2; about 8 more seeds would probably decide), at 1.52 passes per step and 1.57 times SGD's time.");
        for run in &mut contenders[1].runs {
            *run.final_accuracy.as_mut().unwrap() += 0.005;
        }
        let setting = Setting { margin: Some(0.01), ..fixture::setting() };
        assert_snapshot!(answer(&Summary::new(fixture::heading(), setting, contenders)), @"ARSAM reached 79.7 %, 0.5 points above SGD's 79.2 %, but by less than the margin of 1 point (95 % interval +0.3 to +0.7, 3 seeds), at 1.52 passes per step and 1.57 times SGD's time.");
    }

    fn contenders_accuracy(seed: usize) -> f64 {
        fixture::contenders(3, 15)[0].runs[seed].final_accuracy.unwrap()
    }

    #[test]
    fn one_algorithm_has_no_comparison() {
        let contenders = fixture::contenders(3, 15).into_iter().take(1).collect();
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_snapshot!(answer(&summary), @"SGD reached 79.2 % ± 1.0 over 3 seeds; there is no other algorithm to compare it with.");
        let nothing = Summary::new(fixture::heading(), fixture::setting(), Vec::new());
        assert_snapshot!(answer(&nothing), @"No algorithm was run.");
    }

    #[test]
    fn many_algorithms_share_a_clause() {
        let mut contenders = fixture::contenders(3, 15);
        let another = |label: &str| Contender { label: label.into(), ..contenders[2].clone() };
        let more = [another("ASAM"), another("ESAM")];
        contenders.extend(more);
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_snapshot!(answer(&summary), @"SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes per step and 2.03 times SGD's time; whether ARSAM, ASAM and ESAM differ from SGD's 79.2 % is undecided.");
    }

    #[test]
    fn missing_runs_are_named() {
        let mut contenders = fixture::contenders(3, 15);
        contenders[1].runs.pop();
        contenders[2].runs.clear();
        let mut summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_eq!(missing(&summary), None);
        let run = |label: &str, seed, epochs| Missing { label: label.into(), seed, epochs };
        summary.missing =
            vec![run("SAM", 2, 0), run("ARSAM", 0, 0), run("ARSAM", 1, 3), run("ARSAM", 2, 0)];
        assert_snapshot!(missing(&summary).unwrap(), @"4 of 9 runs are missing: SAM seed 2; ARSAM seeds 0, 1 (3 epochs done), 2. lowland resume trains what is missing.");
        assert_snapshot!(answer(&summary), @"SAM reached 81.2 % beside SGD's 79.2 %, not tested (+2.4 points; every seed has the same difference, which allows no test), at 2.00 passes per step and 2.03 times SGD's time; no ARSAM run is done yet.");
    }

    #[test]
    fn diverged_runs_are_named() {
        let mut contenders = fixture::contenders(3, 15);
        contenders[1].runs[1].final_accuracy = None;
        for run in &mut contenders[2].runs {
            run.final_accuracy = None;
        }
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_snapshot!(answer(&summary), @"SAM reached 81.9 % beside SGD's 79.2 %, undecided with 2 seeds (+2.1 points, 95 % interval −1.7 to +5.9; about 1 more seed would probably decide), at 2.00 passes per step and 2.03 times SGD's time; ARSAM diverged on every seed; 1 of 3 SAM runs diverged and is left out of these numbers.");
    }
}
