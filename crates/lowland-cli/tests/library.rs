//! The command as a library, called by another program.

use std::process::ExitCode;

#[test]
fn a_program_gets_the_exit_code_of_its_command_line() {
    assert_eq!(lowland_cli::run(["program", "list", "data"]), ExitCode::SUCCESS);
    assert_eq!(lowland_cli::run(["program", "train", "--epochs"]), ExitCode::from(2));
    let unknown = ["program", "train", "--algorithm", "nosam", "--out", "never-made"];
    assert_eq!(lowland_cli::run(unknown), ExitCode::from(2));
    assert!(!std::path::Path::new("never-made").exists());
}
