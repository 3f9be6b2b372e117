//! The command `lowland` as a library: it trains, compares, measures and reports.
//!
//! A program calls [`run()`] with its command line, `std::env::args_os()`, or one that it makes,
//! and ends with the exit code that comes back:
//!
//! ```
//! fn main() -> std::process::ExitCode {
//!     lowland_cli::run(["lowland", "list"])
//! }
//! ```
//!
//! A comparison trains each of its runs in a process of its own, which is the same program, started
//! with other arguments: a program that calls [`run()`] must hand on the arguments that it was
//! started with.
//!
//! `lowland bench` measures memory where the program's global allocator is
//! [`PeakAlloc`](https://docs.rs/peak_alloc).

mod commands;
mod compare;
mod data_notes;
mod device;
mod failure;
mod files;
mod layout;
#[cfg(test)]
mod printed;
mod program;
mod report;
mod run;
mod settings;
mod terminal;
mod words;

use std::any::TypeId;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use lowland_tasks::own::OwnTask;

pub use program::Program;

/// Sharpness-aware training, which seeks flat minima: train, compare, measure and report.
///
/// Without a command, `lowland` runs the demo, which trains on real images for about a minute on two
/// idle cores, prints a table and writes a report page.
#[derive(Debug, Parser)]
#[command(name = "lowland", version, about, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Log to standard error; -vv logs more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(flatten, next_help_heading = "Options of the demo")]
    demo: commands::demo::Demo,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Demo),
    Train(Box<commands::train::Train>),
    Resume(commands::resume::Resume),
    Evaluate(commands::evaluate::Evaluate),
    Predict(commands::predict::Predict),
    Sharpness(commands::sharpness::Sharpness),
    Landscape(commands::landscape::Landscape),
    Report(commands::report::Report),
    Compare(Box<commands::compare::Compare>),
    Tune(Box<commands::tune::Tune>),
    Data(commands::data::Data),
    List(commands::list::List),
    Bench(commands::bench::Bench),
    Completions(commands::completions::Completions),
    #[command(hide = true)]
    Worker(commands::worker::Worker),
}

/// Runs the command line `arguments`, the name of the program first, and gives the exit code: 0
/// where all went well, 1 where a run failed, 2 for wrong usage and unusable input, 128 and the
/// number of the signal where one ended it. Errors are one line on standard error.
///
/// To be called once, from the main thread: it listens for signals, makes glibc keep freed memory,
/// and logs warnings to standard error unless the program has a `tracing` subscriber of its own.
pub fn run<A>(arguments: impl IntoIterator<Item = A>) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    start(None, arguments)
}

/// The same for a program with a task of its own: its samples and its network take the place of
/// `--data` and `--model`. Its runs keep its name, and `lowland` says of them which program they
/// belong to. Commands on Lowland's own data (`demo`, `data`, `bench`) are not shown.
///
/// ```
/// # use std::path::Path;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::{Device, Tensor};
/// # use lowland_tasks::own::{OwnData, OwnTask, Reason};
/// # #[derive(Debug)]
/// # struct MyTask;
/// # impl OwnTask for MyTask {
/// #     type Network = Linear;
/// #     fn name(&self) -> &'static str { "mine" }
/// #     fn data(&self, _: Option<&Path>) -> Result<OwnData, Reason> { Err("none".into()) }
/// #     fn network(&self, inputs: usize, outputs: usize, device: &Device) -> Linear {
/// #         LinearConfig::new(inputs, outputs).init(device)
/// #     }
/// #     fn forward(&self, network: &Linear, inputs: Tensor<2>) -> Tensor<2> {
/// #         network.forward(inputs)
/// #     }
/// # }
/// fn main() -> std::process::ExitCode {
///     // Or, with the program's own command line, `std::env::args_os()`:
///     lowland_cli::run_task(MyTask, ["mine", "list"])
/// }
/// ```
pub fn run_task<A>(task: impl OwnTask, arguments: impl IntoIterator<Item = A>) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    run_program(Program::of(task), arguments)
}

/// The same for any [`Program`].
pub fn run_program<A>(program: Program, arguments: impl IntoIterator<Item = A>) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    start(Some(program), arguments)
}

/// The command with negative numbers as values of all its flags of numbers, so that one that is not
/// allowed is a wrong value, and no unknown flag.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let numbers = [
        TypeId::of::<u8>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
        TypeId::of::<f64>(),
    ];
    let is_number = |argument: &Arg| {
        let found = argument.get_value_parser().type_id();
        argument.get_action().takes_values() && numbers.iter().any(|number| found == *number)
    };
    let command = command.mut_args(|argument| {
        if is_number(&argument) { argument.allow_negative_numbers(true) } else { argument }
    });
    command.mut_subcommands(with_negative_numbers)
}

/// What may stand on the command line of the program that runs.
fn command_line(program: Option<&str>) -> clap::Command {
    let mut command = with_negative_numbers(Arguments::command());
    let Some(name) = program else { return command };
    command = command.bin_name(name).arg_required_else_help(true).long_about(format!(
        "Sharpness-aware training of {name}'s own network on its own data: train, compare, measure \
         and report."
    ));
    for of_demo in ["out", "seeds", "quiet", "json"] {
        command = command.mut_arg(of_demo, |argument| argument.hide(true));
    }
    for own in ["demo", "data", "bench"] {
        command = command.mut_subcommand(own, |command| command.hide(true));
    }
    command
}

fn start<A>(program: Option<Program>, arguments: impl IntoIterator<Item = A>) -> ExitCode
where
    A: Into<OsString> + Clone,
{
    // Without the settings training is slower, and the same in all else.
    let _ = lowland_malloc::keep_freed_memory();
    let mut line = command_line(program.as_ref().map(Program::name));
    let typed = verbose_behind(arguments.into_iter().map(Into::into).collect());
    let found = line.try_get_matches_from_mut(&typed);
    let arguments = match found.and_then(|found| Arguments::from_arg_matches(&found)) {
        Ok(arguments) => arguments,
        Err(error) => return failure::report_usage(&error, &typed_command(&line, &typed)),
    };
    let logs = tracing_subscriber::fmt()
        .with_writer(terminal::Log::default)
        .with_max_level(level(arguments.verbose))
        .with_ansi(terminal::stderr_has_colours())
        .with_target(false)
        .without_time()
        // A closed standard error is no reason to end.
        .log_internal_errors(false);
    // The caller's own subscriber stays, where there is one.
    let _ = logs.try_init();
    if let Some(Err(error)) = program.map(program::begin) {
        return failure::report(&error.into());
    }
    let command = arguments.command.unwrap_or(Command::Demo(arguments.demo));
    let result = match command {
        Command::Demo(demo) => demo.run(),
        Command::Train(train) => train.run(),
        Command::Resume(resume) => resume.run(),
        Command::Evaluate(evaluate) => evaluate.run(),
        Command::Predict(predict) => predict.run(),
        Command::Sharpness(sharpness) => sharpness.run(),
        Command::Landscape(landscape) => landscape.run(),
        Command::Report(report) => report.run(),
        Command::Compare(compare) => compare.run(),
        Command::Tune(tune) => tune.run(),
        Command::Data(data) => data.run(),
        Command::List(list) => list.run(),
        Command::Bench(bench) => bench.run(),
        Command::Completions(completions) => completions.run(&mut line),
        Command::Worker(worker) => return worker.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

/// A command line with -v behind the name of the command where it stands before it: what stands
/// there is the demo's.
fn verbose_behind(mut typed: Vec<OsString>) -> Vec<OsString> {
    let loud = typed.iter().skip(1).take_while(|word| word.to_str().is_some_and(is_loud)).count();
    let named = typed.get(1 + loud).and_then(|word| word.to_str());
    if named == Some("help") {
        // It takes no flags.
        typed.drain(1..=loud);
    } else if named.is_some_and(|word| !word.starts_with('-')) {
        typed[1..=1 + loud].rotate_right(1);
    }
    typed
}

fn is_loud(argument: &str) -> bool {
    argument == "--verbose" || argument.starts_with("-v")
}

/// The command of a command line with a mistake: the name of the program and of the subcommands
/// that stand behind it, -v in between left out.
fn typed_command(program: &clap::Command, arguments: &[OsString]) -> String {
    let (mut names, mut command) = (vec![program.get_bin_name().unwrap_or("lowland")], program);
    let words = arguments.iter().skip(1).map_while(|argument| argument.to_str());
    for word in words.filter(|word| !is_loud(word)) {
        let Some(named) = command.find_subcommand(word) else { break };
        names.push(named.get_name());
        command = named;
    }
    names.join(" ")
}

/// The least important events that are logged.
fn level(verbose: u8) -> tracing::Level {
    match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    }
}
