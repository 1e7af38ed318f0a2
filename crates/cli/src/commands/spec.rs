//! `retrodict spec NAME`.

use super::{Failure, print};
use crate::args::SpecArgs;

pub(crate) fn spec(args: &SpecArgs) -> Result<(), Failure> {
    print(retrodict_lab::spec::ready(&args.name).map_err(Failure::usage)?)
}
