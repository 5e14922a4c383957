//! What the agent asks of API servers, against one in this process.

mod client;
mod fetch;
mod pods;
