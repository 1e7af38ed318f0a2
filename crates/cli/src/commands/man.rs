//! `retrodict man --to DIR`.

use std::fs;

use super::{Failure, print};
use crate::args::{ManArgs, command};

/// Writes a manual page for the program and for each command.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let written =
        fs::create_dir_all(&args.to).and_then(|()| clap_mangen::generate_to(command(), &args.to));
    written.map_err(|error| Failure::Failed(format!("{}: {error}", args.to.display())))?;
    print(&format!("{}\n", args.to.join("retrodict.1").display()))
}
