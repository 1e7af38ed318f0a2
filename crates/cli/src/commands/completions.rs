//! `retrodict completions SHELL`.

use super::{Failure, print};
use crate::args::{CompletionsArgs, command};

/// Prints a script that completes commands and options in a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "retrodict", &mut script);
    print(&String::from_utf8_lossy(&script))
}
