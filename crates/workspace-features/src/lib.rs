//! See `Cargo.toml`: this crate has features, tests over all sources, and no code.
