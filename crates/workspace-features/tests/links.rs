//! Links and includes of the Markdown files lead to files that are there, and the book's table of
//! contents has every page.

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

#[test]
fn planted_links_are_found() {
    let text = "[a](b.md), [c](d/e.md#f) and `[no](link)`\n```sh\n[no](link)\n{{#include x.rs:2:3}}\n```\n";
    let found: Vec<_> =
        targets(text).into_iter().map(|(line, target)| format!("{line} {target}")).collect();
    assert_eq!(found, ["1 b.md", "1 d/e.md#f", "4 x.rs"]);
}
