//! `retrodict serve`: a local page that watches a run store while it grows.
//!
//! One thread reads the store into a table in memory ([`scan`](self) and `table`); requests read
//! that table, and single runs through `source`, the one place that reads the store. The server
//! answers GET alone and never writes.

mod curves;
mod downsample;
mod events;
mod explore;
mod failure;
mod guard;
mod pages;
mod progress;
mod routes;
mod runs;
mod scan;
mod server;
mod source;
mod table;
mod weights;

pub use downsample::min_max;
pub use server::{Options, PORT, ServeError, Server};
