//! The command `lowland`: trains, compares, measures and reports.

pub mod commands;
pub mod compare;
pub mod device;
pub mod failure;
pub mod files;
pub mod finished_run;
pub mod interrupt;
pub mod journal;
pub mod landscapes;
pub mod memory;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod settings;
pub mod table;
pub mod terminal;
pub mod together;
pub mod words;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Train neural networks so that they land in flat minima, and see what it buys.
///
/// Without a command, `lowland` runs the demo: two minutes of training on real images, one table
/// and one page.
#[derive(Debug, Parser)]
#[command(name = "lowland", version, about, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: commands::demo::Demo,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Demo),
    Train(Box<commands::train::Train>),
    Resume(commands::resume::Resume),
    Sharpness(commands::sharpness::Sharpness),
    Landscape(commands::landscape::Landscape),
    Report(commands::report::Report),
    Compare(Box<commands::compare::Compare>),
    Data(commands::data::Data),
    List(commands::list::List),
    Bench(commands::bench::Bench),
    #[command(hide = true)]
    Worker(commands::worker::Worker),
}

fn main() -> ExitCode {
    // Without the settings training is slower, and the same in all else.
    let _ = lowland_malloc::keep_freed_memory();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        // A closed standard error is no reason to end.
        .log_internal_errors(false)
        .init();
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command.unwrap_or(Command::Demo(arguments.demo)),
        Err(error) => return failure::tell_usage(&error),
    };
    let result = match command {
        Command::Demo(demo) => demo.run(),
        Command::Train(train) => train.run(),
        Command::Resume(resume) => resume.run(),
        Command::Sharpness(sharpness) => sharpness.run(),
        Command::Landscape(landscape) => landscape.run(),
        Command::Report(report) => report.run(),
        Command::Compare(compare) => compare.run(),
        Command::Data(data) => data.run(),
        Command::List(list) => list.run(),
        Command::Bench(bench) => bench.run(),
        Command::Worker(worker) => return worker.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell(&error),
    }
}
