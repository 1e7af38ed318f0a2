//! `retrodict theory MODEL`: the paper's two models of theory, simulated and checked against their
//! theorems, and transfer between sentences in a decoder.

mod bilinear;
mod one_layer;
mod table;
mod transfer;

use clap::{Args, Subcommand};
use retrodict_theory::with_threads;

use super::Failure;

#[derive(Debug, Args)]
pub(crate) struct TheoryArgs {
    #[command(subcommand)]
    model: Model,
}

#[derive(Debug, Subcommand)]
enum Model {
    /// The bilinear model: theorems 1 and 2.
    #[command(after_help = bilinear::EXAMPLE)]
    Bilinear(bilinear::BilinearArgs),
    /// The one-layer transformer: theorems 3 and 4.
    #[command(after_help = one_layer::EXAMPLE)]
    OneLayer(one_layer::OneLayerArgs),
    /// A decoder: the effect of training on one sentence on another.
    #[command(after_help = transfer::EXAMPLES)]
    Transfer(transfer::TransferArgs),
}

pub(crate) fn theory(args: &TheoryArgs) -> Result<(), Failure> {
    with_threads(|| match &args.model {
        Model::Bilinear(args) => bilinear::bilinear(args),
        Model::OneLayer(args) => one_layer::one_layer(args),
        Model::Transfer(args) => transfer::transfer(args),
    })
}
