//! The program: hands the command line to [`api::cli`] and exits with its code.

use std::process::ExitCode;

/// A request makes and drops some hundred small values. This allocator does that in less time than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    api::cli::main()
}
