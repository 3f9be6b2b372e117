//! See `Cargo.toml`: this crate has features and no code.
