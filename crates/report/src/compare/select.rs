//! The comparisons of the program, and which of them, or of the user's own, were asked for.

use std::path::Path;
use std::sync::LazyLock;

use retrodict_lab::nearest;

use super::CompareError;
use super::file::Comparison;

/// The files, in the order in which they are run and shown.
const FILES: &[(&str, &str)] = &[
    ("reversal.toml", include_str!("../../compare/reversal.toml")),
    ("chain.toml", include_str!("../../compare/chain.toml")),
    ("entities.toml", include_str!("../../compare/entities.toml")),
    ("bridge.toml", include_str!("../../compare/bridge.toml")),
    ("relations.toml", include_str!("../../compare/relations.toml")),
    ("family.toml", include_str!("../../compare/family.toml")),
    ("tasks.toml", include_str!("../../compare/tasks.toml")),
];

/// The program's own comparisons.
pub fn shipped() -> &'static [Comparison] {
    static ALL: LazyLock<Vec<Comparison>> = LazyLock::new(|| {
        let read = |(name, text): &(&str, &str)| Comparison::parse(text, name);
        FILES
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .expect("the comparisons of the program are valid; a test reads them")
    });
    &ALL
}

/// A comparison with the tasks that were asked for.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The comparison.
    pub comparison: Comparison,
    /// Ids of tasks, in the comparison's order.
    pub tasks: Vec<String>,
}

/// The selection that `words` name: files (their names end in `.toml`), and names of comparisons or tasks of
/// those files, or of the program's own comparisons where no file is named. No name means all.
///
/// # Errors
/// [`CompareError`] if a file is wrong, or a name stands for nothing.
pub fn select(words: &[String]) -> Result<Vec<Selected>, CompareError> {
    let is_file = |word: &&String| Path::new(word).extension().is_some_and(|end| end == "toml");
    let (files, names): (Vec<&String>, Vec<&String>) = words.iter().partition(is_file);
    let mut all = Vec::new();
    for file in files {
        let comparison = Comparison::load(Path::new(file))?;
        if all.iter().any(|other: &Comparison| other.name == comparison.name) {
            return Err(CompareError::Twice {
                place: comparison.origin,
                what: "comparison",
                id: comparison.name,
            });
        }
        all.push(comparison);
    }
    if all.is_empty() {
        all.extend(shipped().iter().cloned());
    }
    let known = || {
        all.iter().flat_map(|comparison| {
            let tasks = comparison.tasks.iter().map(|task| task.id.as_str());
            std::iter::once(comparison.name.as_str()).chain(tasks)
        })
    };
    if let Some(name) = names.iter().find(|name| !known().any(|known| known == **name)) {
        let hint = match nearest(name, known()) {
            Some(right) => format!("did you mean `{right}`?"),
            None => {
                let mut all: Vec<&str> = known().collect();
                all.dedup();
                format!("there are {}; a file's name ends in .toml", all.join(", "))
            }
        };
        return Err(CompareError::Unknown { name: (*name).clone(), hint });
    }
    let asked = |name: &str| names.iter().any(|asked| *asked == name);
    let selected = all.iter().map(|comparison| {
        let whole = names.is_empty() || asked(&comparison.name);
        let tasks = comparison.tasks.iter().map(|task| task.id.clone());
        let tasks = tasks.filter(|id| whole || asked(id)).collect();
        Selected { comparison: comparison.clone(), tasks }
    });
    Ok(selected.filter(|selected| !selected.tasks.is_empty()).collect())
}
