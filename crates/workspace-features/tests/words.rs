//! Words that readers stumble over are in no Markdown file, doc comment or string of the
//! repository: strings are help texts, messages and pages. Each has a better one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases to avoid, in lower case, and what to write instead.
const AVOID: &[(&str, &str)] = &[
    ("tell", "print, report, return, require; distinguish or classify for \"tell apart\""),
    ("tells", "prints, reports, returns, requires, says"),
    ("told", "printed, reported, given, required"),
    ("come to nothing", "fail"),
    ("comes to nothing", "fails"),
    ("came to nothing", "failed"),
    ("has no place in", "does not apply to"),
    ("have no place in", "do not apply to"),
    ("has no place here", "is not allowed here"),
    ("held against", "compared with"),
    ("went on with", "resumed, continued with"),
    ("goes on", "continues, resumes, runs"),
    ("go on", "continue, resume"),
    ("one's own", "your own, a program's own"),
    ("of whatever kind", "of any kind"),
    ("trained numbers", "trainable parameters"),
    ("redrawn", "corrupted"),
    ("the part inside the program", "the embedded subset"),
    ("rooms", "stages"),
    ("climb", "ascend, perturb"),
    ("climbs", "ascends, perturbs"),
    ("climbed", "ascended, perturbed"),
    ("climbing", "ascending, perturbing"),
    ("pass a step", "pass per step"),
    ("passes a step", "passes per step"),
    ("could not be had", "is unavailable"),
    ("to be had", "available"),
    ("what is true", "the ground truth"),
    ("1 seeds", "1 seed"),
    ("what came of", "the result of"),
    ("spoiled", "corrupted"),
    ("spoilt", "corrupted"),
    ("borne", "allowed"),
    ("in the way of a", "there is a file or directory of that name"),
    ("makes no sense together", "is an invalid combination"),
    ("objects and beings", "objects and animals"),
    ("sentences on films", "sentences from film reviews"),
];

/// Where a phrase is right all the same: a file, the phrase, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "crates/lowland-tasks/src/data/label_noise.rs",
        "redrawn",
        "labels that are drawn anew, of which some stay what they were",
    ),
    ("crates/workspace-features/tests/words.rs", "*", "it lists them"),
];

/// The folders of the repository with text of its own, beside the files at its root.
const FOLDERS: [&str; 7] = ["crates", "docs", "examples", "fuzz", "recipes", "results", "tools"];

#[test]
fn words_to_avoid_are_in_no_documentation_and_no_message() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.push(path);
        }
    }
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files);
    }
    files.sort();

    let mut found = Vec::new();
    let mut read = 0;
    for path in &files {
        let prose = match path.extension().and_then(|ending| ending.to_str()) {
            Some("md") => fs::read_to_string(path).unwrap(),
            Some("rs") => prose_of_rust(&fs::read_to_string(path).unwrap()),
            _ => continue,
        };
        read += 1;
        let name = path.strip_prefix(root).unwrap().display().to_string().replace('\\', "/");
        for (line, phrase, better) in phrases(&prose) {
            if !is_allowed(&name, phrase) {
                found.push(format!("{name}:{line}: \"{phrase}\", better: {better}"));
            }
        }
    }
    assert!(read > 300, "only {read} files were found under {}", root.display());
    assert!(found.is_empty(), "{} words to avoid:\n{}", found.len(), found.join("\n"));
}

/// All files of a folder and of those within it, build folders left out.
fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            into.push(path);
        } else if path.file_name().is_some_and(|name| name != "target") {
            collect(&path, into);
        }
    }
}

fn is_allowed(name: &str, phrase: &str) -> bool {
    ALLOWED.iter().any(|&(file, allowed, _)| file == name && (allowed == "*" || allowed == phrase))
}

/// The phrases to avoid in a text: the line of each, counted from 1, and what is better.
fn phrases(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for (start, (line, _)) in words.iter().enumerate() {
        for &(phrase, better) in AVOID {
            let mut next = words[start..].iter().map(|(_, word)| word.as_str());
            if phrase.split(' ').all(|word| next.next() == Some(word)) {
                found.push((*line, phrase, better));
            }
        }
    }
    found
}

/// The words of a text in lower case, with their lines, counted from 1. Identifiers are one word
/// each. Quotation marks and hyphens are words, so that no phrase runs from one string or flag into
/// the next.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut word = String::new();
        for letter in line.chars().chain([' ']) {
            if letter.is_alphanumeric() || letter == '_' || letter == '\'' {
                word.extend(letter.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                words.push((index + 1, std::mem::take(&mut word)));
            }
            if letter == '"' || letter == '-' {
                words.push((index + 1, letter.to_string()));
            }
        }
    }
    words
}

/// The doc comments and strings of a Rust file, everything else blank; lines stay where they are.
/// Names in braces, as in `"{name}"`, are code.
fn prose_of_rust(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut prose = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        let (length, is_prose) = if rest.starts_with(&['/', '/']) {
            (line_length(rest), matches!(rest.get(2), Some('/' | '!')))
        } else if rest.starts_with(&['/', '*']) {
            (length_to(rest, 2, &['*', '/']), false)
        } else if let Some(length) = raw_string_length(&letters, at) {
            (length, true)
        } else if rest[0] == '"' {
            (string_length(rest), true)
        } else if rest[0] == '\'' {
            (character_length(rest), false)
        } else {
            (1, false)
        };
        let is_string = is_prose && rest[0] != '/';
        let mut in_braces = false;
        for &letter in &rest[..length] {
            in_braces = is_string && (letter == '{' || (in_braces && is_of_name(letter)));
            let is_shown = letter == '\n' || (is_prose && !in_braces);
            prose.push(if is_shown { letter } else { ' ' });
        }
        at += length;
    }
    prose
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The letters up to the end of the line.
fn line_length(rest: &[char]) -> usize {
    rest.iter().position(|&letter| letter == '\n').unwrap_or(rest.len())
}

/// The letters up to and including `end`, which is looked for after `start` letters.
fn length_to(rest: &[char], start: usize, end: &[char]) -> usize {
    let found = rest[start..].windows(end.len()).position(|letters| letters == end);
    found.map_or(rest.len(), |found| start + found + end.len())
}

/// The letters of a string that begins here.
fn string_length(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The letters of a raw string that begins at `at`, if one does.
fn raw_string_length(letters: &[char], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| letters[before]);
    if letters[at] != 'r' || before.is_some_and(|letter| is_of_name(letter) && letter != 'b') {
        return None;
    }
    let rest = &letters[at..];
    let marks = rest[1..].iter().take_while(|&&letter| letter == '#').count();
    if rest.get(1 + marks) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = ['"'].into_iter().chain(std::iter::repeat_n('#', marks)).collect();
    Some(length_to(rest, 2 + marks, &end))
}

/// The letters of a character such as `'a'` or `'\n'`, or the mark of a lifetime alone.
fn character_length(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, ..] => length_to(rest, 3, &['\'']),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The phrases that are found in a Rust file.
fn found(text: &str) -> Vec<(usize, &'static str)> {
    let found = phrases(&prose_of_rust(text));
    found.into_iter().map(|(line, phrase, _)| (line, phrase)).collect()
}

#[test]
fn planted_words_are_found() {
    assert_eq!(
        found("//! It tells.\nfn f() {}\n/// Held\n/// against."),
        [(1, "tells"), (3, "held against")]
    );
    assert_eq!(found("let a = \"it\ncame to \\\n  nothing\";"), [(2, "came to nothing")]);
    assert_eq!(
        found("let a = r#\"a \"told\" b\"#; let b = br\"climb\";"),
        [(1, "told"), (1, "climb")]
    );
    assert_eq!(found("let a = ('\"', '\\'', \"Told {told}\", 'x');"), [(1, "told")]);
    assert_eq!(found("fn f<'a>(x: &'a str) { g(\"1 seeds\") }"), [(1, "1 seeds")]);
    let lines: Vec<_> = phrases("Two\n*rooms*.").into_iter().map(|(line, ..)| line).collect();
    assert_eq!(lines, [2_usize]);
}

#[test]
fn code_comments_and_neighbouring_strings_are_no_prose() {
    let clean = [
        "fn tell() { told.climb(); } // it tells",
        "/* told */ let told = format!(\"{told} {tells:?}\");",
        "f(\"1\", \"seeds\"); g(\"with_told and tell_all\"); h(\"--jobs 1 --seeds 3\");",
        "let redrawn = 'r'; let rooms = \"room\";",
    ];
    for text in clean {
        assert!(found(text).is_empty(), "{:?} in {text}", found(text));
    }
}
