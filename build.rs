//! Compiles the CRI messages; pure Rust, no protoc.
//!
//! `$OUT_DIR/runtime.v1.rs` holds messages and clients, for the library. `$OUT_DIR/server/runtime.v1.rs` holds the server
//! side over the library's messages, for the fake runtime of tests and examples: the library is built without it.

use std::error::Error;
use std::path::PathBuf;

const PROTO: &str = "proto/cri.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    println!("cargo:rerun-if-changed=build.rs");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    tonic_prost_build::configure().build_server(false).build_transport(false).compile_fds(descriptors.clone())?;

    let server = PathBuf::from(std::env::var("OUT_DIR")?).join("server");
    std::fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .extern_path(".runtime.v1", "::pod_checkpointer::node::cri_proto")
        .out_dir(server)
        .compile_fds(descriptors)?;
    Ok(())
}
