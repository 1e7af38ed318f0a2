//! Language models on this machine, which a build without the feature `models` refuses.

use std::path::Path;

use super::Failure;

/// Refuses a model where a spec is read.
///
/// # Errors
/// [`Failure::Usage`] for a folder or a GGUF file.
pub(super) fn refuse_model(path: &Path, command: &str) -> Result<(), Failure> {
    let named = path.display();
    match path.is_dir() || path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf")) {
        true => Err(Failure::Usage(format!(
            "{named} is not a spec; for a language model give its facts too: `retrodict {command} \
             {named} --facts facts.csv --templates templates.toml`"
        ))),
        false => Ok(()),
    }
}

/// The refusal of a build without models.
#[cfg(not(feature = "models"))]
pub(super) fn without_models() -> Failure {
    Failure::usage(
        "this program was built without models; build it with `cargo install --path crates/cli \
         --features models`",
    )
}

/// Opens a model for all cores.
#[cfg(feature = "models")]
pub(super) fn open(path: &Path) -> Result<retrodict_pretrained::Model, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    retrodict_pretrained::Model::open(path, threads).map_err(Failure::usage)
}

/// Measures a model, with the work done and all of it shown, until Ctrl-C.
#[cfg(feature = "models")]
pub(super) fn measured<R>(
    path: &Path,
    work: &'static str,
    measure: impl FnOnce(
        retrodict_pretrained::Model,
        &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<R, retrodict_finetune::FinetuneError>,
) -> Result<R, Failure> {
    use std::sync::atomic::Ordering;

    use retrodict_finetune::{FinetuneError, LearnerError};

    let model = open(path)?;
    let stop = super::stop_on_interrupt();
    let counter = crate::progress::Counter::new(work);
    let mut go = |done, all| {
        counter.show(done, all);
        !stop.load(Ordering::Relaxed)
    };
    measure(model, &mut go).map_err(|error| match error {
        FinetuneError::Learner(LearnerError::Stopped) => {
            Failure::Interrupted("stopped; the measurement begins anew".to_owned())
        }
        error => Failure::usage(error),
    })
}
