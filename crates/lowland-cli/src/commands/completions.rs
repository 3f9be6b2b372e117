//! `lowland completions`: what a shell completes.

use anyhow::Result;
use clap::Args;
use clap_complete::{Shell, generate};

use crate::program;
use crate::terminal::print;

/// Print completions for a shell
///
/// For bash: lowland completions bash > ~/.local/share/bash-completion/completions/lowland
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints the completions of `command`.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn run(self, command: &mut clap::Command) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, command, program::command_name(), &mut script);
        print(String::from_utf8_lossy(&script).trim_end())
    }
}
