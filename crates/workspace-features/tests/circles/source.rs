//! What one file imports, exports and defines, from its text.

use std::collections::BTreeSet;

/// A name that a `use` brings into a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Import {
    /// The path, such as `crate::a::B`.
    pub(crate) path: Vec<String>,
    /// The name in this file; `None` for all names of the path's module.
    pub(crate) name: Option<String>,
    /// Whether the file hands it on (`pub use`).
    pub(crate) is_export: bool,
}

/// What matters of a file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) imports: Vec<Import>,
    /// Paths in expressions and types, such as `plan::Plan` or `crate::f`.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// All names outside of `use`.
    pub(crate) names: BTreeSet<String>,
    /// Names that are defined here.
    pub(crate) definitions: BTreeSet<String>,
    /// Modules of tests in files of their own.
    pub(crate) test_modules: BTreeSet<String>,
}

impl Source {
    pub(crate) fn of(text: &str) -> Self {
        let mut source = Self::default();
        let tokens = without_tests(&tokens(text), &mut source.test_modules);
        let mut at = 0;
        while at < tokens.len() {
            let next = |ahead: usize| tokens.get(at + ahead).map_or("", String::as_str);
            if is_name(&tokens[at]) && tokens[at] != "use" {
                source.names.insert(tokens[at].clone());
            }
            match tokens[at].as_str() {
                "use" => {
                    let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
                    let is_export =
                        before == "pub" || (before == ")" && is_restricted(&tokens[..at]));
                    at = tree(&tokens, at + 1, Vec::new(), is_export, &mut source.imports);
                    continue;
                }
                "struct" | "enum" | "trait" | "fn" | "type" | "const" | "static" | "union" => {
                    source.definitions.insert(next(1).to_owned());
                }
                "macro_rules" => {
                    source.definitions.insert(next(2).to_owned());
                }
                first if is_name(first) && next(1) == "::" => {
                    let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
                    let mut path = vec![first.to_owned()];
                    while tokens.get(at + 1).is_some_and(|token| token == "::")
                        && tokens.get(at + 2).is_some_and(|token| is_name(token))
                    {
                        path.push(tokens[at + 2].clone());
                        at += 2;
                    }
                    if path.len() > 1 && before != "::" && before != "." {
                        source.paths.insert(path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        source
    }
}

/// Whether tokens end in `pub(crate)` or the like.
fn is_restricted(tokens: &[String]) -> bool {
    let open = tokens.iter().rposition(|token| token == "(");
    open.and_then(|open| open.checked_sub(1)).is_some_and(|before| tokens[before] == "pub")
}

/// Reads the tree of a `use` after `prefix`, and gives the place behind it.
fn tree(
    tokens: &[String],
    mut at: usize,
    mut path: Vec<String>,
    is_export: bool,
    into: &mut Vec<Import>,
) -> usize {
    let mut name = None;
    let mut done = false;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = tree(tokens, at, path.clone(), is_export, into);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                at += 1;
                done = true;
            }
            "*" => {
                into.push(Import { path: path.clone(), name: None, is_export });
                at += 1;
                done = true;
            }
            "as" => {
                name = tokens.get(at + 1).cloned();
                at += 2;
            }
            "self" if !path.is_empty() => at += 1,
            token if is_name(token) => {
                path.push(token.to_owned());
                at += 1;
            }
            "::" | "$" => at += 1,
            _ => break,
        }
    }
    if !done && let Some(last) = path.last() {
        let name = Some(name.unwrap_or_else(|| last.clone()));
        into.push(Import { path, name, is_export });
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The tokens without items under `#[cfg(test)]`.
fn without_tests(tokens: &[String], test_modules: &mut BTreeSet<String>) -> Vec<String> {
    let starts = |at: usize, what: &[&str]| {
        tokens.len() >= at + what.len() && tokens[at..].iter().zip(what).all(|(a, b)| a == b)
    };
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_test = starts(at, &["#", "[", "cfg", "(", "test", ")", "]"])
            || starts(at, &["#", "[", "cfg", "(", "all", "(", "test"]);
        if !is_test {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        while starts(at, &["#", "["]) {
            at = closing(tokens, at + 1) + 1;
        }
        let end = (at..tokens.len()).find(|&at| tokens[at] == ";" || tokens[at] == "{");
        let end = end.unwrap_or(tokens.len());
        if let Some(place) = tokens[at..end].iter().position(|token| token == "mod")
            && let Some(name) = tokens.get(at + place + 1)
        {
            test_modules.insert(name.clone());
        }
        let is_use = tokens[at..end].iter().any(|token| token == "use");
        at = match tokens.get(end).map(String::as_str) {
            Some("{") if is_use => {
                (end..tokens.len()).find(|&at| tokens[at] == ";").map_or(tokens.len(), |at| at + 1)
            }
            Some("{") => closing(tokens, end) + 1,
            _ => end + 1,
        };
    }
    kept
}

/// The place of what closes the bracket at `at`.
fn closing(tokens: &[String], at: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    tokens.len()
}

/// Names, `::` and single characters; comments, texts, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut place = 0;
    while place < chars.len() {
        let c = chars[place];
        match c {
            '/' if at(place + 1) == '/' => {
                while place < chars.len() && chars[place] != '\n' {
                    place += 1;
                }
            }
            '/' if at(place + 1) == '*' => place = after_comment(&chars, place),
            '"' => place = after_text(&chars, place),
            '\'' if at(place + 1) == '\\' => {
                place += 3;
                while place < chars.len() && chars[place] != '\'' {
                    place += 1;
                }
                place += 1;
            }
            '\'' if at(place + 2) == '\'' => place += 3,
            // A lifetime: its name is left out with it.
            '\'' => {
                place += 1;
                while at(place).is_alphanumeric() || at(place) == '_' {
                    place += 1;
                }
            }
            _ if c.is_alphanumeric() || c == '_' => {
                let start = place;
                while at(place).is_alphanumeric() || at(place) == '_' {
                    place += 1;
                }
                let word: String = chars[start..place].iter().collect();
                let raw = matches!(word.as_str(), "r" | "br" | "cr");
                let hashes = chars[place..].iter().take_while(|c| **c == '#').count();
                if raw && at(place + hashes) == '"' {
                    place = after_raw_text(&chars, place, hashes);
                } else if !(matches!(word.as_str(), "b" | "c") && matches!(at(place), '"' | '\'')) {
                    tokens.push(word);
                }
            }
            ':' if at(place + 1) == ':' => {
                tokens.push("::".to_owned());
                place += 2;
            }
            _ => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                place += 1;
            }
        }
    }
    tokens
}

fn after_comment(chars: &[char], mut place: usize) -> usize {
    let mut depth = 0_usize;
    while place + 1 < chars.len() {
        match (chars[place], chars[place + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                place += 1;
                continue;
            }
        }
        place += 2;
        if depth == 0 {
            return place;
        }
    }
    chars.len()
}

fn after_text(chars: &[char], mut place: usize) -> usize {
    place += 1;
    while place < chars.len() && chars[place] != '"' {
        place += if chars[place] == '\\' { 2 } else { 1 };
    }
    place + 1
}

fn after_raw_text(chars: &[char], place: usize, hashes: usize) -> usize {
    let start = place + hashes + 1;
    let ends = |place: &usize| {
        chars[*place] == '"' && chars[*place + 1..].iter().take(hashes).all(|c| *c == '#')
    };
    (start..chars.len()).find(ends).map_or(chars.len(), |end| end + 1 + hashes)
}
