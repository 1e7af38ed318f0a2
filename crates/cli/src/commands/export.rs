//! `retrodict export DIR --to DIR --format tensorboard|csv`.

use retrodict_lab::export::{Format, export as write};
use retrodict_lab::runs;
use retrodict_lab::store::Store;

use super::{Failure, print};
use crate::args::{ExportArgs, ExportFormat};

pub(crate) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let query =
        runs::Query::parse(args.condition.as_deref(), None, None).map_err(Failure::Usage)?;
    let store = Store::view(&args.dir).map_err(Failure::usage)?;
    let chosen = runs::select(&store, query.condition).map_err(Failure::failed)?;
    let format = match args.format {
        ExportFormat::Tensorboard => Format::Tensorboard,
        ExportFormat::Csv => Format::Csv,
    };
    let count = write(&chosen, &args.to, format).map_err(Failure::failed)?;
    let to = args.to.display();
    let next = match format {
        Format::Tensorboard => format!("see them with: tensorboard --logdir {to}\n"),
        Format::Csv => String::new(),
    };
    print(&format!("{count} of {} runs written to {to}\n{next}", chosen.len()))
}
