//! The file of facts that a spec names.

use std::path::{Path, absolute};
use std::sync::Arc;

use retrodict_corpus::FactFile;
use retrodict_facts::DataConfig;
use retrodict_settings::{Location, Problem, Reader};

/// Reads the file of facts, if the data are of one: its facts become part of the spec, and its path
/// absolute. A spec that holds facts already, as stored ones do, keeps them; then the file may be
/// gone, but not changed.
pub(super) fn load(data: &mut DataConfig, origin: &str, reader: &mut Reader) {
    let DataConfig::File(config) = data else { return };
    let Some(place) = reader.place("data", "facts") else { return };
    let given = Path::new(&config.facts.0);
    let path = match (&place.at, Path::new(origin).parent()) {
        (Location::Override { .. }, _) | (_, None) => given.to_owned(),
        (_, Some(folder)) => folder.join(given),
    };
    if config.facts.0.is_empty() || (config.content.0.is_some() && !path.exists()) {
        return;
    }
    let facts = match FactFile::read(&path) {
        Ok(facts) => facts,
        Err(error) => return reader.refuse(&place, Problem::Other(error.to_string())),
    };
    if let Some(table) = &config.content.0
        && table.digest != facts.digest
    {
        let problem = format!(
            "{} has changed since `data.content` was written (SHA-256 {}… then, {}… now); restore \
             the file, or leave out `data.content` to run an experiment on the new one",
            facts.name,
            &table.digest[..8],
            &facts.digest[..8]
        );
        return reader.refuse(&place, Problem::Other(problem));
    }
    let path = absolute(&path).unwrap_or(path);
    config.facts.0 = path.display().to_string();
    config.content.0.get_or_insert_with(|| Arc::new(facts.table()));
}
