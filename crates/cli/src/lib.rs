//! The `retrodict` command line: parses, calls `lab` and `report`, draws progress. A library, since
//! the Python package has the same command.

mod allocations;
mod args;
mod commands;
mod device;
mod progress;
mod table;
mod terminal;

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

use args::Command;
use commands::Failure;

/// The exit status after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Whether another program hosts the command line.
static HOSTED: AtomicBool = AtomicBool::new(false);

/// As [`run`], in a program that is not `retrodict` itself, such as Python: commands that start
/// copies of the program are refused.
pub fn run_hosted(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    HOSTED.store(true, Ordering::Relaxed);
    run(arguments)
}

/// Runs the command line in `arguments`, the program's name first, and returns the exit status: 0,
/// 1 for a failure, 2 for bad input, 130 after Ctrl-C. Ends the process at a wrong option and after
/// help.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = args::parse(arguments);
    if let Some(isa) = arguments.isa {
        isa.choose();
    }
    let result = match arguments.command {
        Command::Reproduce(args) => commands::reproduce(&args),
        Command::Run(args) => commands::run(&args, arguments.isa),
        Command::Sweep { command } => commands::sweep(&command),
        Command::Compare(args) => commands::compare(&args),
        Command::Runs(args) => commands::runs(&args),
        Command::Serve(args) => commands::serve(&args),
        Command::Lesson(args) => commands::lesson(&args),
        Command::Table(args) => commands::table(&args),
        Command::Export(args) => commands::export(&args),
        Command::Map(args) => commands::map(&args),
        Command::Store(args) => commands::store(&args),
        Command::Locate(args) => commands::locate(&args),
        Command::Invent(args) => commands::invent(&args),
        Command::Augment(args) => commands::augment(&args),
        Command::Audit(args) => commands::audit(&args),
        Command::Finetune(args) => commands::finetune(&args),
        Command::Spec(args) => commands::spec(&args),
        Command::Data(args) => commands::data(&args),
        Command::Theory(args) => commands::theory(&args),
        Command::Bench(args) => commands::bench(&args),
        Command::Completions(args) => commands::completions(&args),
        Command::Man(args) => commands::man(&args),
        Command::Report(args) => commands::report(&args),
    };
    match result {
        Ok(()) => 0,
        Err(Failure::Usage(message)) => complain(&message, 2),
        Err(Failure::Failed(message)) => complain(&message, 1),
        Err(Failure::Interrupted(message)) => complain(&message, INTERRUPTED),
        // The reader has closed the pipe, as `head` does.
        Err(Failure::ClosedPipe) => 0,
    }
}

fn complain(message: &str, status: u8) -> u8 {
    if !message.is_empty() {
        eprintln!("retrodict: {message}");
    }
    status
}
