#!/bin/sh
# Runs the kernel tests under AddressSanitizer, which sees every load and store beyond a slice; needs the
# nightly toolchain. Each instruction set is run by the tests themselves.
set -eu
cd "$(dirname "$0")"
RUSTFLAGS=-Zsanitizer=address exec cargo +nightly test -p qkernels --release \
    --target x86_64-unknown-linux-gnu --lib --tests "$@"
