# The image is the static binary and nothing else: no shell, no libraries, nothing to patch but itself.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# A glibc target linked statically; --target keeps the flag away from build scripts and macros, which cannot be.
RUN RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$(uname -m)-unknown-linux-gnu" \
    && cp target/*-unknown-linux-gnu/release/pod-checkpointer /pod-checkpointer

FROM scratch
COPY --from=build /pod-checkpointer /pod-checkpointer
# Root: the runtime's socket and the kubelet's directories belong to it.
USER 0:0
WORKDIR /
ENTRYPOINT ["/pod-checkpointer"]
