//! What the machine does: the inner loops, on plain memory. What an operation means is in
//! [`ops`](crate::ops); a second backend would stand beside this folder.

mod newton_schulz;
mod product;
mod rounded;
mod transpose;

pub(crate) use newton_schulz::{CUBIC, Orthogonal};
pub(crate) use product::{Product, Start};
pub(crate) use rounded::rounding_scratch;
pub(crate) use transpose::transpose;
