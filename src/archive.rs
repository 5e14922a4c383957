//! Checkpoint archives as runtimes write them: what their names say, whose they are, whether they are whole. Everything is
//! read by hops from header to header; nothing is unpacked. Taking, sealing and pushing them is not done here.

mod entries;
mod error;
mod header;
mod pax;

pub mod complete;
pub mod metadata;
pub mod name;
pub mod reader;
pub mod sidecar;

#[cfg(fuzzing)]
pub mod fuzzed;

pub use error::ArchiveError;
