//! `lowland data`: data sets from the net to the disk, and a look at them.

pub(crate) mod check;
pub(crate) mod fetch;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Download data sets and check them
#[derive(Debug, Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fetch(fetch::Fetch),
    Check(check::Check),
}

impl Data {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// As the subcommand says.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::Fetch(fetch) => fetch.run(),
            Command::Check(check) => check.run(),
        }
    }
}
