//! `lowland worker`: a run of a comparison in a process of its own. Started by a comparison, and
//! not by hand.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::compare::worker::work;

/// Train one run of a comparison, as standard input asks
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// The folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

impl Worker {
    /// Does the work; what there is to say goes to standard output.
    pub(crate) fn run(self) -> ExitCode {
        work(&self.run)
    }
}
