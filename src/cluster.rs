//! The API server: asking it with deadlines, following this node's pods, fetching what checkpoints are made of.
//!
//! Only this folder speaks to the API server. It says what was answered and when; what follows from that is decided
//! elsewhere. No answer is ever made up: a server that could not be asked is [`error::ApiError`], never an absence.

pub mod client;
pub mod config;
pub mod error;
#[cfg(fuzzing)]
pub mod fuzzed;
pub mod identity;
pub(crate) mod list_watch;
pub mod objects;
pub mod pods;
pub mod request_metrics;
pub mod requests;
pub mod reviews;
pub mod scheduling;
pub mod secret;
pub mod tokens;
