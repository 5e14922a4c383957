//! Retention, from the policy to the deleted file.

mod api;
mod archives;
mod commands;
mod hostile;
mod keeping;
mod manifests;
mod node;
mod policy;
mod properties;
mod selection;
mod sweeping;
