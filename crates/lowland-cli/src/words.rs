//! Numbers, shares, counts and times in words.

use lowland_tasks::data::Subset;

/// What stands where there is no number.
pub(crate) const MISSING: &str = "–";

/// A number with so many decimals, with a true minus sign and without a negative zero.
pub(crate) fn number(value: f64, decimals: usize) -> String {
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
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share, 1))
}

/// What a task measures beside the figure that counts: accuracy as a percentage, all else, such as
/// an average precision or a correlation, with three decimals.
pub(crate) fn score(name: &str, score: f64) -> String {
    if name == "accuracy" { percent(score) } else { number(score, 3) }
}

/// A share of whole or half points as briefly as it goes: 0.3 is "30 %".
pub(crate) fn round_percent(share: f64) -> String {
    let one = number(100.0 * share, 1);
    format!("{} %", one.strip_suffix(".0").unwrap_or(&one))
}

/// A difference of shares in points, signed. A value that would round to zero without being zero
/// gets a second decimal, so that an interval that just misses zero is seen to miss it.
pub(crate) fn points(difference: f64) -> String {
    let value = 100.0 * difference;
    let decimals = if value.abs() < 0.05 && value.abs() >= 0.005 { 2 } else { 1 };
    let text = number(value, decimals);
    let is_positive = value > 0.0 && text != "0.0" && text != MISSING;
    if is_positive { format!("+{text}") } else { text }
}

/// A p-value: "p = 0.012".
pub(crate) fn p_value(value: f64) -> String {
    if value < 0.001 { "p < 0.001".into() } else { format!("p = {}", number(value, 3)) }
}

/// A count with its thousands apart: "23,594".
pub(crate) fn count(value: usize) -> String {
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

/// A part of a set and how it was drawn: "6 of 20 training images, drawn over both classes with
/// seed 0".
pub(crate) fn subset(subset: &Subset, samples: &str) -> String {
    let part = format!("{} of {} {samples}", count(subset.count), count(subset.of));
    format!("{part}, {}", drawn(subset))
}

/// How a part of a set was drawn: "drawn over all 10 classes with seed 0".
pub(crate) fn drawn(&Subset { count: taken, classes, seed, .. }: &Subset) -> String {
    let over = match classes {
        None => "drawn from all".to_owned(),
        Some(1) => "drawn from one class".to_owned(),
        Some(classes) if taken < classes => {
            format!("drawn over {} of {} classes", count(taken), count(classes))
        }
        Some(2) => "drawn over both classes".to_owned(),
        Some(classes) => format!("drawn over all {} classes", count(classes)),
    };
    format!("{over} with seed {seed}")
}

/// A count and its noun: "1 seed", "3 seeds".
pub(crate) fn counted(value: usize, noun: &str) -> String {
    counted_as(value, noun, &format!("{noun}s"))
}

/// A count and its noun: "1 person", "3 people".
pub(crate) fn counted_as(value: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// A number of passes: "1 pass", "2.50 passes".
pub(crate) fn passes(value: f64, decimals: usize) -> String {
    let digits = number(value, decimals);
    format!("{digits} {}", if digits == "1" { "pass" } else { "passes" })
}

/// The form of a verb that goes with a count: "1 sample repeats", "3 samples repeat".
pub(crate) fn agreeing<'a>(value: usize, one: &'a str, many: &'a str) -> &'a str {
    if value == 1 { one } else { many }
}

/// Seconds in the unit that suits them: "43 ms", "12.8 s", "3 min 20 s".
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        _ if !seconds.is_finite() => MISSING.into(),
        _ if seconds < 0.01 => format!("{} ms", number(1000.0 * seconds, 2)),
        _ if seconds < 1.0 => format!("{} ms", number(1000.0 * seconds, 0)),
        _ if seconds < 99.95 => format!("{} s", number(seconds, 1)),
        _ => {
            let minutes = (seconds.round() / 60.0).floor();
            let rest = seconds.round() - 60.0 * minutes;
            format!("{} min {} s", number(minutes, 0), number(rest, 0))
        }
    }
}

/// Seconds as nobody counts on them to the second: "40 s", "3 min", "2 h 5 min".
pub(crate) fn roughly(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round();
    match seconds {
        _ if !seconds.is_finite() => MISSING.into(),
        _ if seconds < 90.0 => format!("{} s", number(seconds.max(1.0), 0)),
        _ if minutes < 100.0 => format!("{} min", number(minutes, 0)),
        _ => {
            let hours = (minutes / 60.0).floor();
            format!("{} h {} min", number(hours, 0), number(minutes - 60.0 * hours, 0))
        }
    }
}

/// A number with so many digits that count: "12.35", "0.001235", "1.235e-9".
pub(crate) fn significant(value: f64, digits: usize) -> String {
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

/// The warning at the end of a run that took none of the second gradients that it schedules.
pub(crate) fn no_second_gradient(label: &str, steps: u64) -> String {
    let steps = counted(usize::try_from(steps).unwrap_or(usize::MAX), "step");
    format!(
        "warning: {label} took no second gradient in {steps}: its schedule or budget allowed none, so \
         that nothing was sharpness-aware"
    )
}

/// The warning at the end of a run that reached its last epoch before its limit was used up.
pub(crate) fn limit_left(label: &str, share: f64) -> String {
    let used = percent(share);
    format!("warning: {label} reached the end of its epochs with {used} of its limit used up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.8138), "81.4 %");
        assert_eq!(round_percent(0.3), "30 %");
        assert_eq!(round_percent(0.125), "12.5 %");
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(
            [(1.0, 0), (1.0, 2), (40.0, 0)].map(|(n, d)| passes(n, d)),
            ["1 pass", "1.00 passes", "40 passes"]
        );
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
            [0.0042, 0.0431, 12.84, 99.96, 119.7, 200.2].map(duration),
            ["4.20 ms", "43 ms", "12.8 s", "1 min 40 s", "2 min 0 s", "3 min 20 s"]
        );
    }

    #[test]
    fn time_that_is_left_is_rounded() {
        assert_eq!(
            [0.2, 89.4, 100.0, 5_969.0, 5_970.0, 7_499.0, f64::INFINITY].map(roughly),
            ["1 s", "89 s", "2 min", "99 min", "1 h 40 min", "2 h 5 min", MISSING]
        );
    }
}
