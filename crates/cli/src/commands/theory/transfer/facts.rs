//! Transfer between facts in a language model.

use std::fmt::Write as _;
use std::path::Path;

use retrodict_finetune::{Excess, Kind, Mean, TransferSummary};
use retrodict_report::write_transfer;
use retrodict_theory::transfer::TransferConfig;

use super::TransferArgs;
use crate::commands::augment::read;
use crate::commands::{Failure, print};
use crate::table::{table, wrap};

pub(super) fn transfer(args: &TransferArgs, file: &Path) -> Result<(), Failure> {
    let (plain, given) = (TransferConfig::default(), &args.config);
    for (option, is_given) in [
        ("--at", given.at != plain.at),
        ("--sentences", given.sentences != plain.sentences),
        ("--preconditioned", given.preconditioned != plain.preconditioned),
        ("--window", given.window != plain.window),
    ] {
        if is_given {
            return Err(Failure::Usage(format!(
                "{option} cannot be used with --facts: a language model is measured as it is"
            )));
        }
    }
    let (facts, templates) = read(file, args.facts.templates.as_deref())?;
    let summary = measured(args, &facts, &templates)?;
    let picture = write_transfer(&args.out, &summary).map_err(Failure::failed)?;
    if args.json {
        let text = serde_json::to_string(&summary).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&format!("{}\n{}\n", in_words(&summary), picture.display()))
}

/// Refuses to measure a model.
#[cfg(not(feature = "models"))]
fn measured(
    _: &TransferArgs,
    _: &retrodict_corpus::FactFile,
    _: &retrodict_corpus::Templates,
) -> Result<TransferSummary, Failure> {
    Err(crate::commands::language_model::without_models())
}

#[cfg(feature = "models")]
fn measured(
    args: &TransferArgs,
    facts: &retrodict_corpus::FactFile,
    templates: &retrodict_corpus::Templates,
) -> Result<TransferSummary, Failure> {
    let name = args.spec.display().to_string();
    let others = args.others.get();
    crate::commands::language_model::measured(&args.spec, "facts", |model, go| {
        let mut model = local::Local(model);
        retrodict_finetune::transfer(&name, facts, templates, others, &mut model, go)
    })
}

#[cfg(feature = "models")]
mod local {
    use retrodict_finetune::{Gains, LearnerError, Tangent};
    use retrodict_pretrained::{Model, PretrainedError};

    pub(super) struct Local(pub(super) Model);

    impl Tangent for Local {
        fn gains(
            &mut self,
            text: (&str, &str),
            answers: &[(&str, &str)],
            go: &mut dyn FnMut() -> bool,
        ) -> Result<Gains, LearnerError> {
            let free = retrodict_lab::memory::free();
            let found = self.0.transfer(text, answers, free, go).map_err(|error| match error {
                PretrainedError::Stopped => LearnerError::Stopped,
                error => LearnerError::Failed(error.to_string()),
            })?;
            let parts = found.parts.into_iter().map(|of| (of.part.name(), of.gains));
            Ok(Gains { log_probability: found.log_probability, parts: parts.collect() })
        }
    }
}

fn in_words(summary: &TransferSummary) -> String {
    let mut head = vec!["question".to_owned(), "gain".to_owned()];
    head.extend(summary.parts.iter().map(|part| (*part).to_owned()));
    let mut rows = vec![head];
    rows.extend(summary.kinds.iter().map(|kind| {
        let mut row = vec![kind.name.to_owned(), mean(&kind.gain)];
        row.extend(kind.by_part.iter().map(mean));
        row
    }));
    let note = format!(
        "{} facts of {}, each compared with {} others at most. Gain: the nats that an answer gains \
         for each nat that a small step of gradient descent adds to the trained answer. The columns \
         after it: where that part of the model moves alone. Brackets: 95 % intervals over facts.",
        summary.facts.len(),
        summary.facts_file,
        summary.others,
    );
    let mut text = format!("{}\n{}\n", table(&rows, 1, &[0]), wrap(&note));
    for of in &summary.excess {
        let _ = write!(text, "\n{}", wrap(&sentence(of)));
    }
    text
}

fn sentence(of: &Excess) -> String {
    let what = match of.kind {
        Kind::Paraphrase => "the fact in other words",
        _ => "the reverse",
    };
    let verdict = match of.excess.interval {
        Some([low, _]) if low > 0.0 => "more than",
        Some([_, high]) if high < 0.0 => "less than",
        _ => "not told apart from",
    };
    format!(
        "A step on a fact moves {what} {verdict} the same answer asked about other facts: \
         difference {}, above 0 for {:.0} % of facts, p = {:.4}.",
        mean(&of.excess),
        100.0 * of.above,
        of.p
    )
}

fn mean(of: &Mean) -> String {
    match of.interval {
        Some([low, high]) => format!("{:.4} [{low:.4}, {high:.4}]", of.mean + 0.0),
        None => format!("{:.4}", of.mean + 0.0),
    }
}
