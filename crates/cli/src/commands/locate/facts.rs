//! Where a language model computes the answers to questions about facts.

use std::path::Path;

use retrodict_lab::locate::Located;
use retrodict_report::write_model_locate;

use crate::args::LocateArgs;
use crate::commands::augment::read;
use crate::commands::{Failure, print};
use crate::table::table;

pub(super) fn locate(args: &LocateArgs, file: &Path) -> Result<(), Failure> {
    if let Some(option) = args.resources.given() {
        return Err(Failure::Usage(format!(
            "{option} has no effect on a language model, which takes all cores; leave it out"
        )));
    }
    let (facts, templates) = read(file, args.facts.templates.as_deref())?;
    let located = measured(args, &facts, &templates)?;
    let named = args.spec.file_stem().unwrap_or(args.spec.as_os_str());
    let folder = args.out.join("locate").join(named);
    let title = named.to_string_lossy();
    write_model_locate(&folder, &title, &located).map_err(Failure::failed)?;
    for warning in &located.warnings {
        eprintln!("retrodict: {warning}");
    }
    if args.json {
        let text = serde_json::to_string(&located).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&format!(
        "{}\nfigures in {}\n",
        lens(&located) + &super::patches(&located) + &super::attribution(&located),
        folder.display()
    ))
}

/// Refuses to look into a model.
#[cfg(not(feature = "models"))]
fn measured(
    _: &LocateArgs,
    _: &retrodict_corpus::FactFile,
    _: &retrodict_corpus::Templates,
) -> Result<Located, Failure> {
    Err(crate::commands::language_model::without_models())
}

#[cfg(feature = "models")]
fn measured(
    args: &LocateArgs,
    facts: &retrodict_corpus::FactFile,
    templates: &retrodict_corpus::Templates,
) -> Result<Located, Failure> {
    crate::commands::language_model::measured(&args.spec, "places", |model, go| {
        retrodict_finetune::locate(facts, templates, &mut local::Local(model), go)
    })
}

#[cfg(feature = "models")]
mod local {
    use retrodict_finetune::{Inside, LearnerError, PatchPosition, TokenQuestion};
    use retrodict_pretrained::{self as pretrained, LastNorm, Model, PretrainedError, Written};

    pub(super) struct Local(pub(super) Model);

    fn failed(error: PretrainedError) -> LearnerError {
        match error {
            PretrainedError::Stopped => LearnerError::Stopped,
            error => LearnerError::Failed(error.to_string()),
        }
    }

    fn theirs(question: &TokenQuestion) -> pretrained::TokenQuestion {
        let TokenQuestion { tokens, entity, right, others } = question.clone();
        pretrained::TokenQuestion { tokens, entity, right, others }
    }

    impl Inside for Local {
        fn blocks(&self) -> usize {
            self.0.architecture().layers()
        }

        fn question(
            &self,
            prompt: &str,
            entity_end: usize,
            answer: &str,
            others: &[&str],
        ) -> Result<TokenQuestion, LearnerError> {
            let of = self.0.question(prompt, entity_end, answer, others).map_err(failed)?;
            let pretrained::TokenQuestion { tokens, entity, right, others } = of;
            Ok(TokenQuestion { tokens, entity, right, others })
        }

        fn lens(
            &mut self,
            questions: &[TokenQuestion],
            take: &mut dyn FnMut(usize, usize, &[f64]),
            go: &mut dyn FnMut() -> bool,
        ) -> Result<(), LearnerError> {
            let questions: Vec<_> = questions.iter().map(theirs).collect();
            self.0.lens(&questions, take, go).map_err(failed)
        }

        fn patched(
            &mut self,
            pairs: &[(&TokenQuestion, &TokenQuestion)],
            place: usize,
            position: PatchPosition,
            take: &mut dyn FnMut(usize, &[f64]),
            go: &mut dyn FnMut() -> bool,
        ) -> Result<(), LearnerError> {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| (theirs(a), theirs(b))).collect();
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| (a, b)).collect();
            let position = match position {
                PatchPosition::Entity => pretrained::PatchPosition::Entity,
                PatchPosition::Last => pretrained::PatchPosition::Last,
            };
            self.0.patched(&pairs, place, position, take, go).map_err(failed)
        }

        fn written(
            &mut self,
            questions: &[TokenQuestion],
            take: &mut dyn FnMut(usize, &[Written]),
            go: &mut dyn FnMut() -> bool,
        ) -> Result<(), LearnerError> {
            let questions: Vec<_> = questions.iter().map(theirs).collect();
            self.0.written(&questions, take, go).map_err(failed)
        }

        fn last_norm(&self) -> LastNorm {
            self.0.last_norm()
        }

        fn head_row(&self, token: u32) -> Vec<f64> {
            self.0.head_row(token)
        }
    }
}

/// The lens, a place a row: a language model has many.
fn lens(located: &Located) -> String {
    let named =
        located.lens.iter().map(|group| format!("{} (of {:.1})", group.name, group.candidates));
    let mut rows = vec![[String::new()].into_iter().chain(named).collect::<Vec<String>>()];
    rows.extend(located.places.iter().enumerate().map(|(at, place)| {
        let cells = located.lens.iter().map(|group| {
            let point = &group.places[at];
            format!("{:.2} / {:.1}", point.nll, point.rank)
        });
        [place.clone()].into_iter().chain(cells).collect()
    }));
    format!("logit lens: NLL / rank among candidates\n{}", table(&rows, 1, &[]))
}
