//! Names that were probably meant.

/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.6;

/// The one of some names that a name which is none of them was meant to be; `None` where none is
/// close enough. Upper and lower case, hyphens and underscores do not count, and a name without its
/// end, such as `resnet50` of `resnet50-imagenet`, is as good as the whole. Of equally close names
/// it is the first.
///
/// # Example
/// ```
/// use lowland_tasks::spelling::nearest;
///
/// assert_eq!(nearest("looksaam", ["sam", "looksam"]), Some("looksam"));
/// assert_eq!(nearest("vgg", ["sam", "looksam"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    let start = format!("{}-", name.to_lowercase());
    let alike = |known: &str| {
        if known.starts_with(&start) {
            return 1.0;
        }
        strsim::normalized_damerau_levenshtein(&plain(name), &plain(known))
    };
    let mut best: Option<(f64, &str)> = None;
    for known in known {
        let score = alike(known);
        if score >= ALIKE && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, known));
        }
    }
    best.map(|(_, known)| known)
}

/// The nearest name as the end of an error: `; did you mean "sam"?`, or nothing.
///
/// # Example
/// ```
/// use lowland_tasks::spelling::did_you_mean;
///
/// assert_eq!(did_you_mean("rhoo", ["rho"]), "; did you mean \"rho\"?");
/// assert_eq!(did_you_mean("x", []), "");
/// ```
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_in_any_case() {
        let known = ["sam", "asam", "arsam", "looksam"];
        assert_eq!(nearest("SAM", known), Some("sam"));
        assert_eq!(nearest("looksaam", known), Some("looksam"));
        assert_eq!(nearest("LookSAM", known), Some("looksam"));
        assert_eq!(nearest("weight-decay", ["weight_decay", "momentum"]), Some("weight_decay"));
        assert_eq!(nearest("resnet50", ["resnet56", "resnet50-large"]), Some("resnet50-large"));
        assert_eq!(nearest("vgg", ["small-cnn", "resnet20"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
