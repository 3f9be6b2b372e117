//! No two files of a crate import each other, directly or through others.
//!
//! An import is a name that a file uses and another file defines, by `use` or by a path such as
//! `super::plan::Plan`; a name that is re-exported counts as an import of the file that defines it.
//! Re-exports themselves (`pub use`), where the file does not use the name itself, `mod` and
//! everything under `#[cfg(test)]` do not count.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "circles/graph.rs"]
mod graph;
#[path = "circles/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use graph::circles;

/// The crates without circles.
const CRATES: [&str; 7] = [
    "lowland",
    "lowland-cli",
    "lowland-fetch",
    "lowland-kernels",
    "lowland-malloc",
    "lowland-mpi",
    "lowland-tasks",
];

/// The sources of a crate, by their paths under `src`.
fn sources(folder: &Path, under: &str, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            sources(&path, &format!("{under}{name}/"), into);
        } else if name.ends_with(".rs") {
            into.insert(format!("{under}{name}"), fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn no_file_imports_itself_through_others() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for name in CRATES {
        let mut files = BTreeMap::new();
        sources(&crates.join(name).join("src"), "", &mut files);
        assert!(!files.is_empty(), "{name} has no sources");
        found.extend(circles(&files).into_iter().map(|circle| format!("{name}: {circle}")));
    }
    assert!(found.is_empty(), "import circles:\n{}", found.join("\n"));
}

/// The circles of a small crate.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    circles(&files.iter().map(file).collect())
}

#[test]
fn planted_circles_are_found() {
    let direct = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::{B, c as d}; pub struct A;"),
        ("b.rs", "use super::a::A; pub struct B; pub fn c() {}"),
    ];
    assert_eq!(found(&direct), ["a.rs -> b.rs -> a.rs"]);
    let through_a_third = [
        ("lib.rs", "mod a; mod b; mod c; pub use c::C;"),
        ("a.rs", "use crate::b; fn f() { b::g(); }"),
        ("b.rs", "pub fn g() { let _ = crate::C; }"),
        ("c.rs", "use crate::a::*; pub struct C;"),
    ];
    assert_eq!(found(&through_a_third), ["a.rs -> b.rs -> c.rs -> a.rs"]);
    let parent_and_child = [
        ("lib.rs", "pub mod a;"),
        ("a.rs", "mod b; pub struct A; fn f() { b::g() }"),
        ("a/b.rs", "use super::A; pub(super) fn g() {}"),
    ];
    assert_eq!(found(&parent_and_child), ["a.rs -> a/b.rs -> a.rs"]);
    let through_globs = [
        ("lib.rs", "mod a; mod b; pub use b::*;"),
        ("a.rs", "use crate::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub enum B { One }"),
    ];
    assert_eq!(found(&through_globs), ["a.rs -> b.rs -> a.rs"]);
    let a_re_export_that_is_used = [
        ("lib.rs", "pub mod a;"),
        ("a.rs", "mod b; pub use b::B; pub struct A; fn f() { B::new() }"),
        ("a/b.rs", "use super::A; pub struct B;"),
    ];
    assert_eq!(found(&a_re_export_that_is_used), ["a.rs -> a/b.rs -> a.rs"]);
    let through_a_macro = [
        ("lib.rs", "mod a; mod list;"),
        ("a.rs", "use crate::list::B; pub struct A;"),
        (
            "list.rs",
            "macro_rules! all { ($($m:ident),*) => { $(mod $m; pub use $m::*;)* } } all!(b);",
        ),
        ("list/b.rs", "use crate::a::A; pub struct B;"),
    ];
    assert_eq!(found(&through_a_macro), ["a.rs -> list/b.rs -> a.rs"]);
}

#[test]
fn re_exports_tests_comments_and_strings_close_no_circle() {
    let clean = [
        ("lib.rs", "mod a; pub use a::A; pub use error::{Error as Fault, Result}; mod error;"),
        (
            "a.rs",
            r#"
            //! See [`crate::b`].
            mod b; mod tools;
            pub use b::B;
            use crate::{Fault, Result};
            /* use b::B; /* nested */ */
            pub struct A<'a>(&'a str, char);
            fn f() -> Result<(), Fault> { let _ = ("b::B", r"b::B", 'b', '\''); b.c::<A>() }
            #[cfg(test)]
            mod tests { use super::b::B; fn t() { b::B::new(); } }
            #[cfg(test)]
            use tools::tool;
            "#,
        ),
        ("a/b.rs", "use super::A; use std::fmt; pub struct B; impl B { fn a() -> A {} }"),
        ("a/tools.rs", "use super::{A, B}; fn t() { fmt::x::y(); }"),
        ("error.rs", "pub enum Error {} pub type Result<T, E> = std::result::Result<T, E>;"),
    ];
    assert_eq!(found(&clean), [""; 0]);
}
