//! Text that is safe inside HTML and SVG.

/// Replaces every character that HTML would read as markup.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Control characters show nothing, and a NUL is an error in HTML.
            other if other.is_control() && other != '\n' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Escaped prose in which a number keeps its sign, its percent sign and the p before it on its
/// line.
pub(super) fn prose(text: &str) -> String {
    let text = escaped(text).replace(" %", "\u{a0}%").replace(" ± ", "\u{a0}±\u{a0}");
    text.replace("p = ", "p\u{a0}=\u{a0}").replace("p &lt; ", "p\u{a0}&lt;\u{a0}")
}

/// All parts, one after the other.
pub(super) fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().fold(String::new(), |mut whole, part| {
        whole.push_str(&part);
        whole
    })
}

/// A sentence or title: it begins with a capital letter.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escaped("<script>alert(\"1\" & '2')</script>\0"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt; "
        );
    }

    #[test]
    fn numbers_stay_whole() {
        assert_eq!(prose("81.4 % ± 0.8 of all"), "81.4\u{a0}%\u{a0}±\u{a0}0.8 of all");
        assert_eq!(prose("a, p = 0.5; p < 0.001"), "a, p\u{a0}=\u{a0}0.5; p\u{a0}&lt;\u{a0}0.001");
    }
}
