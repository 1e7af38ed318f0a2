//! The simulations that the report draws, stored below the output folder.

use std::path::Path;

use retrodict_lab::store::StoreError;

use super::{Context, Data, OneLayerConfig, OneLayerResult, simulate};
use crate::{TheoryError, stored};

/// The folder of this model's results below `theory/`.
const MODEL: &str = "one-layer";

/// One of the simulations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Its file's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its settings.
    pub config: OneLayerConfig,
}

/// Theorems 3 and 4 as they stand, and each assumption violated on purpose.
pub fn cases() -> Vec<Case> {
    let reversal = OneLayerConfig::default();
    let chain = OneLayerConfig { data: Data::Chain, ..reversal };
    let all = |config| OneLayerConfig { context: Context::All, ..config };
    let attentive =
        |config: OneLayerConfig| OneLayerConfig { lr_attention: config.lr_decoder, ..all(config) };
    let random = |config| OneLayerConfig { init: 1.0, ..config };
    // As many updates of each sentence as in the large vocabulary.
    let small = OneLayerConfig { vocab_size: 20, steps: 5_000, ..reversal };
    let case = |name, title, config| Case { name, title, config };
    vec![
        case("reversal", "reversal", reversal),
        case("chain", "chains", chain),
        case("reversal-all", "reversal, relation attended to", all(reversal)),
        case("reversal-attention", "reversal, attention learns as fast", attentive(reversal)),
        case("chain-all", "chains, relation attended to", all(chain)),
        case("chain-attention", "chains, attention learns as fast", attentive(chain)),
        case("reversal-random", "reversal, random initial weights", random(reversal)),
        case("reversal-small", "reversal, small vocabulary", small),
    ]
}

/// Makes the results that are missing below `out`, and returns all.
///
/// # Errors
/// [`TheoryError`] where one cannot be made, written or read.
pub fn reproduce(out: &Path) -> Result<Vec<(Case, OneLayerResult)>, TheoryError> {
    let one = |case: Case| {
        let wanted = |kept: &OneLayerResult| kept.config == case.config;
        let make = || simulate(&case.config);
        Ok((case, stored::kept_or_made(out, MODEL, case.name, wanted, make)?))
    };
    cases().into_iter().map(one).collect()
}

/// Reads the results below `out` without simulating.
///
/// # Errors
/// [`StoreError`] for a file that cannot be read.
pub fn stored(out: &Path) -> Result<Vec<(Case, OneLayerResult)>, StoreError> {
    let one = |case: Case| {
        let result = stored::read::<OneLayerResult>(out, MODEL, case.name);
        result.map(|result| Some((case, result.filter(|result| result.config == case.config)?)))
    };
    cases().into_iter().filter_map(|case| one(case).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        assert_eq!(stored(out).unwrap(), []);
        let made = reproduce(out).unwrap();
        assert_eq!(made.len(), cases().len());
        assert_eq!(stored(out).unwrap(), made, "every digit");

        // A mark in a file stays: the file is believed.
        let path = out.join("theory/one-layer/reversal.json");
        let mut marked = made[0].1.clone();
        marked.changes.push("mark".to_owned());
        stored::write(out, MODEL, "reversal", &marked).unwrap();
        assert_eq!(reproduce(out).unwrap()[0].1, marked);

        // Another setting or another version's file is not; a damaged one is reported, and made again.
        marked.config.steps += 1;
        stored::write(out, MODEL, "reversal", &marked).unwrap();
        assert_eq!(stored(out).unwrap().len(), made.len() - 1);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = stored(out).unwrap_err().to_string();
        assert!(error.contains("reversal.json is damaged"), "{error}");
        assert_eq!(reproduce(out).unwrap(), made);
        assert_eq!(stored(out).unwrap(), made);
    }
}
