//! Links and includes of the Markdown files lead to files and headings that are there, files and
//! tests that they name exist, the book's table of contents has every page, and its pieces of code
//! are those of programs that are compiled.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All Markdown files of the repository, but for what is built.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// The targets of links and includes of a page, with their lines. Links in blocks of code are text.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if let Some((_, include)) = line.split_once("{{#include ") {
            let target = include.split("}}").next().unwrap_or_default();
            targets.push((number, target.split(':').next().unwrap_or_default().to_owned()));
        }
        if in_code {
            continue;
        }
        // What stands between ticks is code too.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for link in prose.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            targets.push((number, target.to_owned()));
        }
    }
    targets
}

#[test]
fn links_and_includes_lead_to_files() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (line, target) in targets(&fs::read_to_string(&page).unwrap()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            seen += 1;
            if !page.parent().unwrap().join(path).exists() {
                broken.push(format!("{}:{line}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "no such files:\n{}", broken.join("\n"));
    assert!(seen > 20, "only {seen} links were found");
}

/// The anchors of a page's headings: mdBook and GitHub make the same of plain ones.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let Some((marks, heading)) = line.split_once(' ').filter(|_| !in_code) else { continue };
        if marks.is_empty() || marks.chars().any(|mark| mark != '#') {
            continue;
        }
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        anchors.push(kept.collect::<String>().to_lowercase().replace(' ', "-"));
    }
    anchors
}

#[test]
fn links_to_headings_find_them() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (line, target) in targets(&text) {
            let Some((path, anchor)) = target.split_once('#').filter(|_| !target.contains("://"))
            else {
                continue;
            };
            let other = page.parent().unwrap().join(path);
            // What is not there is found by another test.
            let text = if path.is_empty() { Ok(text.clone()) } else { fs::read_to_string(other) };
            if text.is_ok_and(|text| !anchors(&text).iter().any(|known| known == anchor)) {
                broken.push(format!("{}:{line}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "no such headings:\n{}", broken.join("\n"));
}

/// The pieces of code in the text of a page.
fn spans(text: &str) -> Vec<String> {
    let blocks = text.split("```").step_by(2);
    let spans = blocks.flat_map(|text| text.split('`').skip(1).step_by(2));
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The folders of the repository that pages name files of.
const FOLDERS: [&str; 7] =
    [".ci/", "crates/", "docs/", "examples/", "fuzz/", "recipes/", "results/"];

/// Whether a piece of code is the path of a file of the repository.
fn is_path(span: &str) -> bool {
    FOLDERS.iter().any(|folder| span.starts_with(folder))
        && !span.contains(|c: char| " {}*<>…".contains(c))
}

/// Whether a piece of code is the name of a test: a sentence.
fn is_test(span: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    span.split('_').count() > 4 && span.split('_').all(is_word) && span.to_lowercase() == span
}

/// The text of all Rust files of the crates.
fn sources() -> String {
    let mut sources = String::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

#[test]
fn files_and_tests_that_pages_name_exist() {
    let sources = sources();
    let mut unknown = Vec::new();
    let mut seen = 0;
    for page in pages().into_iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        for span in spans(&fs::read_to_string(&page).unwrap()) {
            let exists = if is_path(&span) {
                root().join(&span).exists()
            } else if is_test(&span) {
                sources.contains(&format!("fn {span}("))
            } else {
                continue;
            };
            seen += 1;
            if !exists {
                unknown.push(format!("{}: {span}", page.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "named and not there:\n{}", unknown.join("\n"));
    assert!(seen > 20, "only {seen} names were found");
}

#[test]
fn planted_names_and_headings_are_found() {
    let text = "# One `a`\nSee `docs/b.md`, `crates/*/c`.\n```sh\n# no `crates/d`\n```\n## Two, 3-4!\n\
                `it_is_a_test_here` and `with_no_test`, `a\nb`.\n";
    assert_eq!(anchors(text), ["one-a", "two-3-4"]);
    let spans = spans(text);
    assert_eq!(spans, ["a", "docs/b.md", "crates/*/c", "it_is_a_test_here", "with_no_test", "a b"]);
    assert_eq!(spans.iter().filter(|span| is_path(span)).collect::<Vec<_>>(), ["docs/b.md"]);
    assert_eq!(
        spans.iter().filter(|span| is_test(span)).collect::<Vec<_>>(),
        ["it_is_a_test_here"]
    );
}

#[test]
fn the_table_of_contents_has_every_page() {
    let book = root().join("docs/src");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    for entry in fs::read_dir(&book).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(summary.contains(&format!("({name})")), "{name} is not in SUMMARY.md");
        }
    }
}

/// Code as rustfmt cannot change it: without spaces, line breaks and the commas that it adds before
/// a closing bracket.
fn bare(code: &str) -> String {
    let bare: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    bare.replace(",)", ")")
}

/// Blocks of Rust in a page that include no file, with the lines where they begin.
fn snippets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match &mut open {
            None if line.starts_with("```rust") => open = Some((number, String::new())),
            None => {}
            Some(_) if line.starts_with("```") => {
                let (begin, code) = open.take().unwrap();
                if !code.contains("{{#include ") {
                    found.push((begin, code));
                }
            }
            Some((_, code)) => {
                code.push_str(line);
                code.push('\n');
            }
        }
    }
    found
}

/// Whether a program has the code of a snippet; `// …` stands for anything in between.
fn has(program: &str, snippet: &str) -> bool {
    let program = bare(program);
    let mut rest = program.as_str();
    for piece in snippet.split("// …").map(bare).filter(|piece| !piece.is_empty()) {
        let Some((_, after)) = rest.split_once(&piece) else { return false };
        rest = after;
    }
    true
}

/// The programs whose pieces the book may show: all are compiled by `.ci/run`.
fn programs() -> Vec<String> {
    let folders = ["examples", "crates/lowland-mpi/examples"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    sources.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn snippets_of_the_book_are_compiled() {
    let programs = programs();
    let mut unknown = Vec::new();
    let mut seen = 0;
    for page in pages().into_iter().filter(|page| page.starts_with(root().join("docs"))) {
        for (line, snippet) in snippets(&fs::read_to_string(&page).unwrap()) {
            seen += 1;
            if !programs.iter().any(|program| has(program, &snippet)) {
                unknown.push(format!("{}:{line}", page.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "code that no example has:\n{}", unknown.join("\n"));
    assert!(seen >= 6, "only {seen} pieces of code were found");
}

/// The page of the repository and that of the crate are read alone, so that each has the program;
/// the crate's page is the beginning of its API documentation too.
#[test]
fn both_read_mes_have_the_same_program() {
    let program = |page: &str| snippets(&fs::read_to_string(root().join(page)).unwrap());
    let of = |page: &str| program(page).into_iter().map(|(_, code)| code).collect::<Vec<_>>();
    let (repository, library) = (of("README.md"), of("crates/lowland/README.md"));
    assert_eq!(repository.len(), 1);
    assert_eq!(repository, library);
}

#[test]
fn planted_snippets_are_compared() {
    let text = "```rust,ignore\nlet a = 1;\n// …\n    let c = f(3, 4);\n```\n```rust\n{{#include x.rs}}\n```\n";
    let found = snippets(text);
    assert_eq!(found, [(1, "let a = 1;\n// …\n    let c = f(3, 4);\n".to_owned())]);
    let snippet = &found[0].1;
    assert!(has("{\n  let a = 1;\n\n  let b = 2;\n  let c = f(\n    3,\n    4,\n  );\n}", snippet));
    assert!(!has("let c = f(3, 4);\nlet a = 1;", snippet));
    assert!(!has("let a = 1;\nlet c = f(3);", snippet));
}

#[test]
fn planted_links_are_found() {
    let text = "[a](b.md), [c](d/e.md#f) and `[no](link)`\n```sh\n[no](link)\n{{#include x.rs:2:3}}\n```\n";
    let found: Vec<_> =
        targets(text).into_iter().map(|(line, target)| format!("{line} {target}")).collect();
    assert_eq!(found, ["1 b.md", "1 d/e.md#f", "4 x.rs"]);
}
