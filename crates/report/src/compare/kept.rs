//! Which comparisons an output folder holds: their files, and what was asked of them. It cannot be
//! read off the runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use retrodict_lab::store::{StoreError, atomic, read_if_there, seal, unseal};
use serde::{Deserialize, Serialize};

use super::file::Comparison;
use crate::ReportError;

/// The folder of comparisons below an output folder.
pub(crate) const FOLDER: &str = "compare";
/// The file that says what was asked.
const FILE: &str = "asked.json";

/// The seeds and tasks asked of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The comparison's name.
    name: String,
    /// Seeds of every intervention.
    pub(crate) seeds: Vec<u64>,
    /// Ids of tasks.
    pub(crate) tasks: Vec<String>,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    asked: Vec<Asked>,
}

/// Keeps a comparison in `out` with what is asked of it: tasks are added to those of before, other
/// seeds, or another file of the same name, replace what was asked before.
///
/// # Errors
/// [`ReportError`] if it cannot be written, or what is there cannot be read.
pub fn keep(
    out: &Path,
    comparison: &Comparison,
    seeds: &[u64],
    task: &str,
) -> Result<(), ReportError> {
    let folder = out.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|source| io_error("create", &folder, source))?;
    let mut all = asked(out)?;
    let path = text_path(out, &comparison.name);
    let same = fs::read_to_string(&path).is_ok_and(|text| text == comparison.text);
    let name = &comparison.name;
    let at = match all.iter().position(|asked| asked.name == *name) {
        Some(at) => at,
        None => {
            let (seeds, tasks) = (seeds.to_vec(), Vec::new());
            all.push(Asked { name: name.clone(), seeds, tasks });
            all.len() - 1
        }
    };
    let own = &mut all[at];
    if !same || own.seeds != seeds {
        own.seeds = seeds.to_vec();
        own.tasks.clear();
    }
    if !own.tasks.iter().any(|known| known == task) {
        own.tasks.push(task.to_owned());
    }
    atomic::write(&path, comparison.text.as_bytes())?;
    let text = seal(&Kept { asked: all })?;
    Ok(atomic::write(&folder.join(FILE), text.as_bytes())?)
}

/// The comparisons that are kept in `out`, in the order in which they were first asked for.
///
/// # Errors
/// [`ReportError`] if one cannot be read: leaving it out in silence would falsify the report.
pub(crate) fn kept(out: &Path) -> Result<Vec<(Comparison, Asked)>, ReportError> {
    let mut all = Vec::new();
    for asked in asked(out)? {
        all.push((Comparison::load(&text_path(out, &asked.name))?, asked));
    }
    Ok(all)
}

fn asked(out: &Path) -> Result<Vec<Asked>, ReportError> {
    let path = out.join(FOLDER).join(FILE);
    let Some(bytes) = read_if_there(&path)? else { return Ok(Vec::new()) };
    // Early versions wrote the list alone.
    if let Ok(asked) = serde_json::from_slice(&bytes) {
        return Ok(asked);
    }
    let kept: Result<(Kept, bool), String> = unseal(&bytes);
    Ok(kept.map_err(|what| StoreError::Damaged { path, what })?.0.asked)
}

/// Where the file of a comparison is kept.
fn text_path(out: &Path, name: &str) -> PathBuf {
    out.join(FOLDER).join(format!("{name}.toml"))
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { doing, path: path.to_owned(), source }
}
