//! HTTPS for callers near and far (`listener`), who must be known (`identity`) and allowed (`checkpoints`): what `serve` answers.

pub mod api_status;
pub mod apiservice;
pub mod ca;
pub mod checkpoints;
pub mod forward;
pub mod identity;
pub mod listener;
mod openapi;
mod poll;
pub mod tls_health;
