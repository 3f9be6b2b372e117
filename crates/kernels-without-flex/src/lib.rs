//! See `Cargo.toml`: this crate has a test and no code.
