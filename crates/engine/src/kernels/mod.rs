//! The inner loops, on plain memory. [`ops`](crate::ops) defines the operations that use them.

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
