//! `retrodict finetune MODEL FACTS`.

#[cfg(feature = "models")]
mod local;

use retrodict_corpus::FactFile;
use retrodict_finetune::{
    Compare, Condition, Estimate, FinetuneError, HELD_TEXT, Key, LearnerError, Part, Prediction,
    Row, SmallRun, Study, Summary, digest, digest_of_model,
};
use retrodict_report::write_finetune;

use super::augment::read;
use super::{Failure, print};
use crate::args::{FinetuneArgs, LossOn};
use crate::table::{table, wrap};

pub(crate) fn finetune(args: &FinetuneArgs) -> Result<(), Failure> {
    if !(args.lr > 0.0 && args.lr < 1.0) {
        return Err(Failure::Usage(format!("--lr is {}, but must be between 0 and 1", args.lr)));
    }
    if !(0.0..=1.0).contains(&args.train_fraction) {
        let value = args.train_fraction;
        return Err(Failure::Usage(format!(
            "--train-fraction is {value}, but must be a fraction from 0 to 1"
        )));
    }
    let conditions = Condition::parse_all(&args.recipe).map_err(refused)?;
    let (facts, templates) = read(&args.facts, args.templates.as_deref())?;
    let held_text = match &args.held_text {
        Some(file) => std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?,
        None => HELD_TEXT.to_owned(),
    };
    if held_text.trim().is_empty() {
        return Err(Failure::Usage("--held-text has no text".to_owned()));
    }
    let small = args.small.as_deref().map(SmallRun::read).transpose().map_err(refused)?;
    let key = key(args, &facts, &held_text)?;
    let study = Study::new(&facts, &templates, &held_text, key, &conditions).map_err(refused)?;
    let runs = trained(args, &study, &conditions)?;
    let mut summary = Summary::new(&study, &args.model.display().to_string(), &runs);
    if let Some(small) = &small {
        let predictions = Compare::ALL.map(|by| Prediction::new(by, small, &summary.rows));
        summary.predictions.extend(predictions);
    }
    let page = write_finetune(&args.out, &summary).map_err(Failure::failed)?;
    if args.json {
        let text = serde_json::to_string(&summary).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&format!("{}\n{}\n", in_words(&summary), page.display()))
}

#[cfg(feature = "models")]
use local::trained;

/// Refuses to train a model.
#[cfg(not(feature = "models"))]
fn trained(
    _: &FinetuneArgs,
    _: &Study<'_>,
    _: &[Condition],
) -> Result<Vec<Vec<retrodict_finetune::RunResult>>, Failure> {
    Err(super::language_model::without_models())
}

fn unreadable(file: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{}: it cannot be read: {error}", file.display()))
}

fn refused(error: FinetuneError) -> Failure {
    match error {
        FinetuneError::Store(_) => Failure::failed(error),
        FinetuneError::Learner(LearnerError::Stopped) => Failure::Interrupted(
            "stopped; finished runs are kept, and the same command resumes".to_owned(),
        ),
        error => Failure::usage(error),
    }
}

fn key(args: &FinetuneArgs, facts: &FactFile, held_text: &str) -> Result<Key, Failure> {
    let templates = match &args.templates {
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
            digest(&bytes)
        }
        None => String::new(),
    };
    Ok(Key {
        model: digest_of_model(&args.model).map_err(|error| unreadable(&args.model, &error))?,
        facts: facts.digest.clone(),
        templates,
        held_text: digest(held_text.as_bytes()),
        epochs: u64::from(args.epochs),
        batch: args.batch.get(),
        lr: args.lr,
        loss: match args.loss {
            LossOn::Answer => Part::Answer,
            LossOn::Text => Part::Text,
        },
        lora: args.lora.map(std::num::NonZero::get),
        train_fraction: args.train_fraction,
        held_phrasings: args.held_phrasings,
        candidates: args.candidates as usize,
    })
}

fn in_words(summary: &Summary) -> String {
    let head = [
        "condition",
        "seeds",
        "forward",
        "reverse",
        "difference from none",
        "forward level",
        "reverse level",
        "perplexity",
        "tokens",
        "steps",
        "seconds",
    ];
    let share = |of: &Estimate| estimate(of, 3);
    let row = |row: &Row| {
        let trained = |text: String| if row.steps > 0.0 { text } else { "–".to_owned() };
        let difference = row.reverse_difference.map_or("–".to_owned(), |of| {
            let [low, high] = of.interval;
            format!("{:.3} [{low:.3}, {high:.3}]", of.mean)
        });
        vec![
            row.condition.clone(),
            row.seeds.len().to_string(),
            share(&row.forward),
            share(&row.reverse),
            difference,
            share(&row.forward_level),
            share(&row.reverse_level),
            estimate(&row.perplexity, 2),
            trained(format!("{:.0}", row.tokens)),
            trained(format!("{:.0}", row.steps)),
            format!("{:.0}", row.seconds),
        ]
    };
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(summary.rows.iter().map(row));
    let note = format!(
        "Forward: answers in the direction that the text states; reverse: in the other. Both in \
         trained phrasings, as exact match of greedy answers; a guess among the names is right in \
         {:.3}. Brackets: 95 % intervals over seeds and questions. Tokens: of an epoch.",
        summary.chance
    );
    let mut text = format!("{}\n{}\n", table(&rows, 1, &[0]), wrap(&note));
    for prediction in &summary.predictions {
        text += &format!("\n{}\n", wrap(&prediction.sentence()));
    }
    text
}

/// A mean and its interval.
fn estimate(of: &Estimate, places: usize) -> String {
    match (of.mean, of.interval) {
        (Some(mean), Some([low, high])) => {
            format!("{mean:.places$} [{low:.places$}, {high:.places$}]")
        }
        (Some(mean), None) => format!("{mean:.places$}"),
        (None, _) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_without_interval_stands_alone() {
        let values = vec![0.5];
        let of = Estimate { mean: Some(0.5), interval: None, values };
        assert_eq!(estimate(&of, 2), "0.50");
        let of = Estimate { interval: Some([0.25, 0.75]), ..of };
        assert_eq!(estimate(&of, 2), "0.50 [0.25, 0.75]");
        assert_eq!(estimate(&Estimate::default(), 2), "–");
    }
}
