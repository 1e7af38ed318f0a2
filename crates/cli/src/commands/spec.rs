//! `retrodict spec NAME`, `spec figure`, `spec style` and `spec compare`.

use retrodict_lab::spec::{Spec, commented, ready};

use super::{Failure, print};
use crate::args::SpecArgs;

/// Prints a ready spec, with a comment on every key.
pub(crate) fn spec(args: &SpecArgs) -> Result<(), Failure> {
    match args.name.as_str() {
        "figure" => return print(retrodict_report::paper::EXAMPLE),
        "style" => return print(retrodict_report::style::EXAMPLE),
        "compare" => return print(retrodict_report::compare::EXAMPLE),
        _ => {}
    }
    let text = ready(&args.name).map_err(Failure::usage)?;
    let spec = Spec::parse(text, &args.name).map_err(Failure::usage)?;
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let head: String = head.map(|line| format!("{line}\n")).collect();
    print(&format!("{head}{}", commented(&spec)))
}
