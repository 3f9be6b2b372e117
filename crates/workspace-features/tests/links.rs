//! Links and includes of the Markdown files lead to files that are there, the book's table of
//! contents has every page, and its pieces of code are those of programs that are compiled.

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
