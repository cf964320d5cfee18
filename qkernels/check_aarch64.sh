#!/bin/sh
# Compiles everything for aarch64, without a warning, and runs the kernel tests, the golden cases and quickstart on
# an emulated processor; quickstart must print the scales and accuracies that it prints on this machine:
#
#     ./check_aarch64.sh [compile]
#
# `compile` runs nothing. PROPTEST_CASES reaches the tests. The compiler is $RUSTC, or that of Debian's package
# rustc-web: with libstd-rust-web-dev:arm64 comes the C library that the emulator needs. Exits with 2 if a package is
# missing.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
compiler=${RUSTC:-/usr/bin/rustc}
only=${1:-}
unset RUSTC
export PROPTEST_CASES="${PROPTEST_CASES:-8}"

missing=
need() { # need PATH PACKAGE
    [ -e "$1" ] || missing="$missing $2"
}
need "$(command -v "$compiler" || echo "$compiler")" rustc-web
need "$("$compiler" --print sysroot 2>/dev/null || true)/lib/rustlib/$target/lib" libstd-rust-web-dev:arm64
if [ "$only" != compile ]; then
    need /usr/bin/aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    need /usr/aarch64-linux-gnu/lib/crt1.o libc6-dev-arm64-cross
    need /usr/bin/qemu-aarch64 qemu-user
fi
if [ -n "$missing" ]; then
    echo "check_aarch64.sh: not checked, Debian packages are missing:" \
        "dpkg --add-architecture arm64 && apt-get update && apt-get install$missing" >&2
    exit 2
fi

aarch64() { # aarch64 COMMAND ARGUMENT...
    command=$1
    shift
    RUSTC=$compiler \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64 \
        cargo "$command" --target $target --target-dir "${CARGO_TARGET_DIR:-target}/aarch64" "$@"
}

(export RUSTFLAGS='-D warnings' && aarch64 check --workspace --all-targets)
[ "$only" != compile ] || exit 0

aarch64 test -p qkernels --lib --tests
aarch64 test -p tests --test golden

results() { # all that does not depend on speed
    sed '/Latency/,$d'
}
here=$(cargo run -p examples --bin quickstart)
there=$(aarch64 run -p examples --bin quickstart)
echo "$there"
if [ "$(echo "$here" | results)" != "$(echo "$there" | results)" ]; then
    echo "check_aarch64.sh: quickstart printed on this machine:" >&2
    echo "$here" >&2
    exit 1
fi
