//! `retrodict audit published FILE…`: results of single facts that were measured elsewhere.

use retrodict_audit::{Measure, Published, PublishedResult};

use crate::args::AuditArgs;
use crate::commands::{Failure, print};
use crate::table::{table, wrap};

/// Prints the means of each file over the facts that all have.
///
/// # Errors
/// [`Failure::Usage`] for an option that would do nothing, and for a file of another kind.
pub(super) fn published(args: &AuditArgs) -> Result<(), Failure> {
    for (option, is_given) in [
        ("--templates", args.templates.is_some()),
        ("--candidates", args.candidates.is_some()),
        ("--model-name", args.model_name.is_some()),
        ("--rate", args.rate.is_some()),
    ] {
        if is_given {
            return Err(Failure::Usage(format!(
                "{option} has no effect on published results, which are only summed up; leave it out"
            )));
        }
    }
    let read = args.facts.iter().map(|file| Published::read(file));
    let read = read.collect::<Result<Vec<_>, _>>().map_err(Failure::usage)?;
    let results = Published::summed(&read).map_err(Failure::usage)?;
    if args.json {
        let text = serde_json::to_string(&results).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&in_words(&results))
}

fn in_words(results: &[PublishedResult]) -> String {
    let head =
        ["results", "measure", "facts", "forward", "reverse", "asymmetry", "95 % interval", "p"];
    let row = |of: &PublishedResult| {
        vec![
            of.model.clone().unwrap_or_else(|| of.file.clone()),
            match of.measure {
                Measure::LogProbability => "log probability".to_owned(),
                Measure::Accuracy => "right answers".to_owned(),
            },
            of.facts.to_string(),
            format!("{:.3}", of.forward),
            format!("{:.3}", of.reverse),
            format!("{:.3}", of.asymmetry),
            of.interval.map_or("–".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}")),
            of.p.map_or("–".to_owned(), |p| {
                if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
            }),
        ]
    };
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(results.iter().map(row));
    let mut text = table(&rows, 1, &[0, 1]);
    for of in results.iter().filter(|of| of.left_out > 0) {
        text += &format!("\n{}: {} facts left out, which another file lacks", of.file, of.left_out);
    }
    text + &format!("\n{}\n", wrap(NOTE))
}

/// How to read the numbers, and their limits.
const NOTE: &str = "Asymmetry: forward minus reverse, the mean over subjects, with a bootstrap \
    interval and a p-value from sign flips; the facts of one subject are one observation. Without \
    the log probabilities of other answers there is no rank, no level and no verdict: a name that \
    is likelier by itself, or shorter, raises its direction.";
