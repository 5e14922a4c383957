//! Checkpoint archives: what is read of them, and what is refused.

#[allow(dead_code, unreachable_pub, reason = "every suite uses its part of it")]
#[path = "../support/archives.rs"]
mod archives;

mod commands;
mod hostile;
mod identity;
mod names;
mod whole;
