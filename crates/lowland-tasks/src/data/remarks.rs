//! What readers leave out or decide by themselves, in words.

use std::path::Path;

use crate::Error;

/// How many names a line shows.
const SHOWN: usize = 3;

/// Some of the names, and how many there are beside them: "a, b, c and 17 more".
pub(crate) fn some_of(names: &[String], separator: &str) -> String {
    first_of(names, SHOWN, separator)
}

/// The same with at most so many names.
pub(crate) fn first_of(names: &[String], at_most: usize, separator: &str) -> String {
    let shown = names[..names.len().min(at_most)].join(separator);
    match names.len().saturating_sub(at_most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// As [`left_out`], where each name stands for as many as it comes with.
pub(crate) fn left_out_each<N: AsRef<str>>(
    [one, many]: [&str; 2],
    names: &[(N, usize)],
) -> Option<String> {
    let count = |names: &[(N, usize)]| names.iter().map(|(_, count)| count).sum::<usize>();
    let all = count(names);
    let (shown, rest) = names.split_at(names.len().min(SHOWN));
    let shown: Vec<&str> = shown.iter().map(|(name, _)| name.as_ref()).collect();
    let more = match count(rest) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = if all == 1 { one } else { many };
    (all > 0).then(|| format!("left out {all} {what}: {}{more}", shown.join(", ")))
}

/// A line for things that were left out; `None` where there are none. `what` says what they are,
/// for one and for several: "damaged file", "damaged files".
pub(crate) fn left_out(what: [&str; 2], names: &[String]) -> Option<String> {
    let each: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    left_out_each(what, &each)
}

/// A line for damaged lines of files that were left out; `None` where there are none. `name` is
/// what a file is called.
pub(crate) fn left_out_lines(damaged: &[Error], name: impl Fn(&Path) -> String) -> Option<String> {
    let place = |error: &Error| match error {
        Error::Line { path, line, .. } => (format!("{}:{line}", name(path)), 1),
        Error::Lines { path, first, last, .. } => {
            (format!("{}:{first}-{last}", name(path)), error.lines())
        }
        error => (error.to_string(), 1),
    };
    let places: Vec<(String, usize)> = damaged.iter().map(place).collect();
    left_out_each(["damaged line", "damaged lines"], &places)
}

/// A line for images that were laid over white; `None` where there are none.
pub(crate) fn over_white(names: &[String]) -> Option<String> {
    let what = match names.len() {
        0 => return None,
        1 => "image has transparent pixels and was",
        _ => "images have transparent pixels and were",
    };
    Some(format!("{} {what} laid over white: {}", names.len(), some_of(names, ", ")))
}
