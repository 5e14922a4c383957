//! Compiles the CRI messages; pure Rust, no protoc.
fn main() {}
