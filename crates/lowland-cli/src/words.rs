//! Numbers and findings in words, the same on the terminal and on the page.

use crate::compare::equal::Equal;
use crate::compare::summary::{AlgorithmSummary, Difference, Setting, Spread, Summary, Verdict};

/// What stands where there is no number.
pub const MISSING: &str = "–";

/// With more algorithms than this beside the baseline, a sentence that tells all of them is too long.
const MANY: usize = 3;

/// A number with so many decimals, with a true minus sign and without a negative zero.
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.into();
    }
    // A value that is a half but for rounding errors goes up, however it was computed: the same
    // number must not read 81.0 here and 81.1 there.
    let digits = format!("{:.decimals$}", value.abs() * (1.0 + 1e-12));
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if value < 0.0 && !is_zero { format!("−{digits}") } else { digits }
}

/// A share as a percentage: 0.814 is "81.4 %".
pub fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share, 1))
}

/// A share of whole or half points as briefly as it goes: 0.3 is "30 %".
pub fn round_percent(share: f64) -> String {
    let one = number(100.0 * share, 1);
    format!("{} %", one.strip_suffix(".0").unwrap_or(&one))
}

/// A mean share with the deviation of single runs: "81.4 % ± 0.8".
pub fn percent_spread(spread: &Spread) -> String {
    with_deviation(percent(spread.mean), spread, 100.0, 1)
}

/// A mean with the deviation of single runs: "2.03 ± 0.01".
pub fn spread(spread: &Spread) -> String {
    with_deviation(number(spread.mean, 2), spread, 1.0, 2)
}

/// Puts the deviation behind the mean, unless there is none at this precision.
fn with_deviation(mean: String, spread: &Spread, factor: f64, decimals: usize) -> String {
    let deviation = number(factor * spread.deviation, decimals);
    if deviation == number(0.0, decimals) { mean } else { format!("{mean} ± {deviation}") }
}

/// A difference of shares in points, signed. A value that would round to zero without being zero
/// gets a second decimal, so that an interval that just misses zero is seen to miss it.
pub fn points(difference: f64) -> String {
    let value = 100.0 * difference;
    let decimals = if value.abs() < 0.05 && value.abs() >= 0.005 { 2 } else { 1 };
    let text = number(value, decimals);
    let is_positive = value > 0.0 && text != "0.0" && text != MISSING;
    if is_positive { format!("+{text}") } else { text }
}

/// The interval of a difference in points, "+0.9 to +3.5"; `None` where no test was possible.
pub fn interval(difference: &Difference) -> Option<String> {
    let interval = difference.interval?;
    Some(format!("{} to {}", points(interval.low), points(interval.high)))
}

/// Why a difference has no interval.
pub fn untested(difference: &Difference) -> &'static str {
    if difference.pairs < 2 {
        "one seed allows no test"
    } else {
        "every seed has the same difference, which allows no test"
    }
}

/// A p-value: "p = 0.012".
pub fn p_value(value: f64) -> String {
    if value < 0.001 { "p < 0.001".into() } else { format!("p = {}", number(value, 3)) }
}

/// A count with its thousands apart: "23,594".
pub fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: "1 seed", "3 seeds".
pub fn counted(value: usize, noun: &str) -> String {
    counted_as(value, noun, &format!("{noun}s"))
}

/// A count and its noun: "1 person", "3 people".
pub fn counted_as(value: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// Seconds in the unit that suits them: "43 ms", "12.8 s", "3 min 20 s", "2 h 5 min".
pub fn duration(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() => MISSING.into(),
        _ if seconds < 0.01 => format!("{} ms", number(1000.0 * seconds, 2)),
        _ if seconds < 1.0 => format!("{} ms", number(1000.0 * seconds, 0)),
        _ if seconds < 99.95 => format!("{} s", number(seconds, 1)),
        _ if seconds >= 5_999.5 => {
            let minutes = (seconds / 60.0).round();
            let hours = (minutes / 60.0).floor();
            format!("{} h {} min", number(hours, 0), number(minutes - 60.0 * hours, 0))
        }
        _ => {
            let minutes = (seconds.round() / 60.0).floor();
            let rest = seconds.round() - 60.0 * minutes;
            format!("{} min {} s", number(minutes, 0), number(rest, 0))
        }
    }
}

/// A number with so many digits that count: "12.35", "0.001235", "1.235e-9".
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return MISSING.into();
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let power = scientific.rsplit_once('e').and_then(|(_, power)| power.parse::<i32>().ok());
    match power {
        Some(power) if (-4..6).contains(&power) => {
            let digits = i32::try_from(digits).unwrap_or(i32::MAX);
            number(value, usize::try_from(digits - 1 - power).unwrap_or(0))
        }
        _ => scientific.replace('-', "−"),
    }
}

/// The warning at the end of a run that was to take second gradients and took none.
pub fn no_second_gradient(label: &str, steps: u64) -> String {
    let steps = counted(usize::try_from(steps).unwrap_or(usize::MAX), "step");
    format!(
        "warning: {label} took no second gradient in {steps}: its schedule or budget allowed none, so \
         that nothing was sharpness-aware"
    )
}

/// The warning at the end of a run that came to its last epoch before its limit was used up.
pub fn limit_left(label: &str, share: f64) -> String {
    let used = percent(share);
    format!("warning: {label} came to the end of its epochs with {used} of its limit used up")
}

/// What the algorithms got the same of, "equal passes for all"; `None` where it is epochs.
pub fn held_equal(setting: &Setting) -> Option<String> {
    let passes = |limit: f64| number(limit, if limit.fract() == 0.0 { 0 } else { 2 });
    match (setting.equal, setting.limit) {
        (Equal::Epochs, _) => None,
        (Equal::Passes, None) => Some("equal passes for all".into()),
        (Equal::Passes, Some(limit)) => Some(format!("{} passes for each run", passes(limit))),
        (Equal::Time, None) => Some("equal training time for all".into()),
        (Equal::Time, Some(limit)) => Some(format!("{} of training for each run", duration(limit))),
    }
}

/// "time", or "time of a step" where whole runs take the same time, or about as much, by design.
pub fn time_of(setting: &Setting) -> &'static str {
    match setting.equal {
        Equal::Epochs => "time",
        Equal::Passes | Equal::Time => "time of a step",
    }
}

/// How many runs of an algorithm diverged, "1 of 3 SAM runs diverged"; `None` if none did.
pub fn diverged(algorithm: &AlgorithmSummary) -> Option<String> {
    let (diverged, all) = (algorithm.diverged(), algorithm.runs.len());
    let label = &algorithm.label;
    match diverged {
        0 => None,
        _ if diverged == all => Some(format!("{label} diverged on every seed")),
        _ => Some(format!("{diverged} of {all} {label} runs diverged")),
    }
}

/// Which planned runs are not done, in one sentence; `None` where all are.
pub fn missing(summary: &Summary) -> Option<String> {
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
        "{} of {} missing: {}. lowland resume trains what is missing.",
        self::count(count),
        counted(count + done, "run"),
        runs.join("; ")
    ))
}

/// The comparison in one sentence. Where many algorithms show no difference, they share a clause.
pub fn answer(summary: &Summary) -> String {
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
    match held_equal(&summary.setting).filter(|_| !others.is_empty()) {
        Some(equal) => format!("With {equal}, {sentence}"),
        None => capitalised(&sentence),
    }
}

/// A sentence begins with a capital letter, unless it begins with a name as it is spelled.
fn capitalised(sentence: &str) -> String {
    match sentence.strip_prefix("no ") {
        Some(rest) => format!("No {rest}"),
        None => sentence.into(),
    }
}

fn clauses(others: &[AlgorithmSummary], summary: &Summary) -> Vec<String> {
    let (baseline, time) = (&summary.algorithms[0], time_of(&summary.setting));
    let is_plain = |algorithm: &&AlgorithmSummary| {
        let difference = algorithm.difference.as_ref();
        difference.is_some_and(|difference| difference.verdict == Verdict::NoDifference)
    };
    let (plain, telling): (Vec<&AlgorithmSummary>, Vec<_>) = if others.len() > MANY {
        others.iter().partition(is_plain)
    } else {
        (Vec::new(), others.iter().collect())
    };
    let mut clauses: Vec<String> =
        telling.iter().map(|algorithm| clause(algorithm, baseline, time)).collect();
    let labels: Vec<&str> = plain.iter().map(|algorithm| algorithm.label.as_str()).collect();
    if let Some((last, front)) = labels.split_last() {
        let front = if front.is_empty() { String::new() } else { front.join(", ") + " and " };
        let base =
            baseline.accuracy.map_or_else(String::new, |base| format!("'s {}", percent(base.mean)));
        clauses
            .push(format!("no difference to {}{base} was found for {front}{last}", baseline.label));
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
        return format!("{reached}, with no {base_label} run of the same seed to compare it with");
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
        return format!(" beside {base}, no difference found ({signed} points; {reason})");
    };
    let side = match difference.verdict {
        Verdict::Better => "above",
        Verdict::Worse => "below",
        Verdict::NoDifference => {
            return format!(
                " beside {base}, no difference found with {seeds} \
                 ({signed} points, 95 % interval {interval})"
            );
        }
    };
    format!(", {size} points {side} {base} (95 % interval {interval}, {seeds})")
}

fn cost(algorithm: &AlgorithmSummary, base_label: &str, time: &str) -> String {
    let passes =
        algorithm.passes_per_step.map(|passes| format!("{} passes a step", number(passes.mean, 2)));
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
    fn numbers_read_well() {
        assert_eq!(percent(0.8138), "81.4 %");
        assert_eq!(round_percent(0.3), "30 %");
        assert_eq!(round_percent(0.125), "12.5 %");
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(number(-0.06, 1), "−0.1");
        assert_eq!(number(f64::NAN, 1), MISSING);
        assert_eq!(
            [0.022, -0.003, 0.0, 0.0004, -0.0004, 0.00001].map(points),
            ["+2.2", "−0.3", "0.0", "+0.04", "−0.04", "0.0"]
        );
        assert_eq!(
            [12.3456, -0.001_234_6, 123_456.0, 1.2346e-9, 1e9, 0.0].map(|v| significant(v, 3)),
            ["12.3", "−0.00123", "123456", "1.23e−9", "1.00e9", "0"]
        );
        assert_eq!(p_value(0.0123), "p = 0.012");
        assert_eq!(p_value(0.000_1), "p < 0.001");
        assert_eq!([7, 999, 2500, 1_234_567].map(count), ["7", "999", "2,500", "1,234,567"]);
        assert_eq!(
            [0.0042, 0.0431, 12.84, 99.96, 119.7, 200.2, 5_999.4, 7_499.0].map(duration),
            [
                "4.20 ms",
                "43 ms",
                "12.8 s",
                "1 min 40 s",
                "2 min 0 s",
                "3 min 20 s",
                "99 min 59 s",
                "2 h 5 min"
            ]
        );
    }

    #[test]
    fn the_answer_tells_differences_from_none() {
        assert_snapshot!(answer(&fixture::summary(3, 15)), @"SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes a step and 2.03 times SGD's time; ARSAM reached 80.6 % beside SGD's 79.2 %, no difference found with 3 seeds (+1.4 points, 95 % interval −1.0 to +3.8), at 1.52 passes a step and 1.57 times SGD's time.");
    }

    #[test]
    fn what_was_held_equal_is_told() {
        let mut summary = fixture::summary(3, 15);
        summary.setting.equal = Equal::Passes;
        assert_snapshot!(answer(&summary), @"With equal passes for all, SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes a step and 2.03 times SGD's time of a step; ARSAM reached 80.6 % beside SGD's 79.2 %, no difference found with 3 seeds (+1.4 points, 95 % interval −1.0 to +3.8), at 1.52 passes a step and 1.57 times SGD's time of a step.");
        summary.setting.limit = Some(120.0);
        assert_eq!(held_equal(&summary.setting).unwrap(), "120 passes for each run");
        summary.setting.equal = Equal::Time;
        assert_eq!(held_equal(&summary.setting).unwrap(), "2 min 0 s of training for each run");
        assert_eq!(held_equal(&fixture::setting()), None);
    }

    #[test]
    fn one_seed_is_not_enough() {
        assert_snapshot!(answer(&fixture::summary(1, 15)), @"SAM reached 82.0 % beside SGD's 79.6 %, no difference found (+2.4 points; one seed allows no test), at 2.00 passes a step and 2.03 times SGD's time; ARSAM reached 79.9 % beside SGD's 79.6 %, no difference found (+0.3 points; one seed allows no test), at 1.52 passes a step and 1.57 times SGD's time.");
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
        assert_snapshot!(answer(&summary), @"SAM reached 81.4 %, 2.2 points above SGD's 79.2 % (95 % interval +1.3 to +3.1, 3 seeds), at 2.00 passes a step and 2.03 times SGD's time; no difference to SGD's 79.2 % was found for ARSAM, ASAM and ESAM.");
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
        assert_snapshot!(missing(&summary).unwrap(), @"4 of 9 runs missing: SAM seed 2; ARSAM seeds 0, 1 (3 epochs done), 2. lowland resume trains what is missing.");
        assert_snapshot!(answer(&summary), @"SAM reached 81.2 % beside SGD's 79.2 %, no difference found (+2.4 points; every seed has the same difference, which allows no test), at 2.00 passes a step and 2.03 times SGD's time; no ARSAM run is done yet.");
    }

    #[test]
    fn diverged_runs_are_told() {
        let mut contenders = fixture::contenders(3, 15);
        contenders[1].runs[1].final_accuracy = None;
        for run in &mut contenders[2].runs {
            run.final_accuracy = None;
        }
        let summary = Summary::new(fixture::heading(), fixture::setting(), contenders);
        assert_snapshot!(answer(&summary), @"SAM reached 81.9 % beside SGD's 79.2 %, no difference found with 2 seeds (+2.1 points, 95 % interval −1.7 to +5.9), at 2.00 passes a step and 2.03 times SGD's time; ARSAM diverged on every seed; 1 of 3 SAM runs diverged and is left out of these numbers.");
    }
}
