//! The code in the repository's read-me compiles and runs: its documentation test does it.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]
