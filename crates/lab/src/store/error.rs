//! The errors of the run store.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::name::NameError;

/// A run store that cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An error of the operating system.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The failed action: `write`, `read`, `create`, ….
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The output folder is a file.
    #[error("{} is a file; the store must be in a folder, or a path where one can be made", path.display())]
    NotAFolder {
        /// The output folder as the user gave it.
        path: PathBuf,
    },
    /// The output folder, or one above it, is a symbolic link to nothing.
    #[error(
        "{} is a link to {}, which does not exist; make that folder, or name another",
        path.display(), target.display()
    )]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// There is no store to read.
    #[error("{} holds no runs: there is no folder `runs` in it", path.display())]
    NoStore {
        /// The output folder as the user gave it.
        path: PathBuf,
    },
    /// The experiment's name cannot be a folder.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Another process, or another thread, writes this run.
    #[error("{} is being written by {by}; wait for it, or use another --out", path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
        /// The other writer.
        by: String,
    },
    /// A damaged file.
    #[error("{} is damaged: {what}{}", path.display(), way_out(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// A file of another run.
    #[error(
        "{} belongs to {what}; move it away, and give the same command again", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The run that it belongs to, and the one that it should belong to.
        what: String,
    },
    /// A checkpoint that another program wrote, or another instruction set: a run that resumes from
    /// it would have the bits of neither.
    #[error(
        "{} was written by {by}, and this is {here}: a run that resumes from it has the bits of \
         neither; use that program, with `--isa` where its instruction set differs, or allow it \
         with --allow-mixed, or delete {} to start again",
        path.display(), run.display()
    )]
    OtherProgram {
        /// The checkpoint.
        path: PathBuf,
        /// Its program.
        by: String,
        /// This one.
        here: String,
        /// The run's folder.
        run: PathBuf,
    },
    /// A symbolic link where the store has a folder of its own.
    #[error(
        "{} is a symbolic link; nothing is written through links inside a store: put a folder \
         there, or link the whole output folder", path.display()
    )]
    Linked {
        /// The link.
        path: PathBuf,
    },
    /// A checkpoint with a damaged or missing file.
    #[error(
        "{} is damaged: {what}; delete the folder {} to go on from {}",
        path.display(), folder.display(), going_on_from(*before)
    )]
    DamagedCheckpoint {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
        /// The checkpoint's folder.
        folder: PathBuf,
        /// Step of the checkpoint before it, if there is one.
        before: Option<u64>,
    },
    /// Values that no file of the store can hold, such as an array whose shape
    /// does not fit its length.
    #[error("cannot write {}: {what}", path.display())]
    Unwritable {
        /// The file to write.
        path: PathBuf,
        /// The problem with the values.
        what: String,
    },
}

impl StoreError {
    /// Turns an [`io::Error`] met while `doing` something to `path` into this one.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// A damaged file.
    pub fn damaged(path: &Path, what: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }

    /// Values that the file cannot hold.
    pub fn unwritable(path: &Path, what: impl ToString) -> Self {
        Self::Unwritable { path: path.to_owned(), what: what.to_string() }
    }
}

fn going_on_from(step: Option<u64>) -> String {
    step.map_or_else(|| "the start".to_owned(), |step| format!("step-{step}"))
}

/// The advice for a damaged file of a run.
fn way_out(path: &Path) -> String {
    let is_run = |folder: &&Path| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-"))
    };
    path.ancestors().find(is_run).map_or_else(String::new, |run| {
        format!("; delete the folder {} to train that run again", run.display())
    })
}
