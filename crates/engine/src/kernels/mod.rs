//! The inner loops, on plain memory. The meaning of an operation is in [`ops`](crate::ops); a second backend would stand beside this folder.

mod inner;
mod newton_schulz;
mod product;
mod rounded;
mod totals;
mod transpose;

pub(crate) use inner::InnerProducts;
pub(crate) use newton_schulz::{CUBIC, Orthogonal};
pub(crate) use product::{Product, Start};
pub(crate) use rounded::rounding_scratch;
pub(crate) use totals::totals;
pub(crate) use transpose::transpose;
