//! Checkpoint archives: what is read of them, and what is refused.

mod commands;
mod hostile;
mod identity;
mod names;
mod whole;
