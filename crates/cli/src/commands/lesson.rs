//! `retrodict lesson`: writes the page of the three-minute lesson.

use retrodict_lab::store::atomic;

use super::{Failure, print};
use crate::args::LessonArgs;

pub(crate) fn lesson(args: &LessonArgs) -> Result<(), Failure> {
    atomic::write(&args.out, retrodict_lesson::page().as_bytes()).map_err(Failure::failed)?;
    print(&format!("{}\n", args.out.display()))
}
