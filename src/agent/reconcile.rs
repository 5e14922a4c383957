//! The agent's crank, turned by `reconciler`: `observe` fills one snapshot, `pod::lifecycle` decides, `apply` and `capture` carry
//! it out, `run_state` remembers for the next turn.

pub mod apply;
pub mod capture;
pub mod capture_queue;
pub mod observe;
pub mod reconciler;
pub mod run_state;
