//! The launcher that writes one shell command for each chunk, to be run by any means.

use std::num::NonZeroUsize;

use super::Command;

/// The name of the file with the commands.
pub const FILE: &str = "commands.txt";

/// One line for each of `chunks` chunks. `options` are those of every command.
pub fn text(command: &Command, chunks: usize, threads: NonZeroUsize, options: &str) -> String {
    let options = format!(" --threads {threads}{options}");
    (1..=chunks).map(|n| command.line(&n.to_string(), &options) + "\n").collect()
}
