//! The program: hands the command line to [`api::cli`] and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    api::cli::main()
}
