//! What the hermetic suites stand on: the systems around the agent, in this process.

pub mod api;
