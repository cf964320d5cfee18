#!/bin/sh
# Runs the kernel tests on an emulated processor with AVX-512-VNNI, for machines that lack it:
#
#     ./check_emulated.sh [FILTER...]
#
# Linux boots in Bochs with the statically linked tests as its init file system; their output comes out of
# the serial port. QKERNELS_ISA (default avx512vnni) and PROPTEST_CASES reach the tests. Needs Debian's
# packages bochs, bochsbios, vgabios, isolinux, syslinux-common, xorriso, cpio and busybox-static; the
# kernel is $KERNEL, or is downloaded once with apt-get.
set -eu
cd "$(dirname "$0")"
target=x86_64-unknown-linux-gnu

need() { # need FILE PACKAGE
    [ -e "$1" ] || { echo "check_emulated.sh: $1 is missing (Debian package $2)" >&2; exit 2; }
}
need /usr/bin/bochs bochs
need /usr/share/bochs/BIOS-bochs-latest bochsbios
need /usr/share/vgabios/vgabios.bin vgabios
need /usr/lib/ISOLINUX/isolinux.bin isolinux
need /usr/lib/syslinux/modules/bios/ldlinux.c32 syslinux-common
need /usr/bin/xorriso xorriso
need /usr/bin/cpio cpio
need /bin/busybox busybox-static

# The tests, small enough to load fast.
messages=$(RUSTFLAGS=-Ctarget-feature=+crt-static CARGO_PROFILE_RELEASE_STRIP=symbols \
    cargo test -p qkernels --release --target $target --lib --tests --no-run --message-format=json)
tests=$(echo "$messages" | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
directory=$(dirname "$(echo "$tests" | head -n 1)")/../../../emulated
mkdir -p "$directory"

if [ -z "${KERNEL:-}" ]; then
    KERNEL=$directory/vmlinuz
    if [ ! -e "$KERNEL" ]; then
        package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')
        (cd "$directory" && apt-get download "$package" && dpkg-deb -x "$package"_*.deb kernel)
        mv "$directory"/kernel/boot/vmlinuz-* "$KERNEL"
        rm -r "$directory"/kernel "$directory"/*.deb
    fi
fi

# Each run has a folder of its own, so that runs may overlap.
work=$(mktemp -d "$directory/run.XXXXXX")
bochs=
trap 'if [ -n "$bochs" ]; then kill "$bochs"; fi; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/system/tests" "$work/system/proc" "$work/system/dev" "$work/system/tmp" "$work/disc/isolinux"

# shellcheck disable=SC2086 # one path a line
cp $tests "$work/system/tests"
cp /bin/busybox "$work/system"
filters=
for filter in "$@"; do filters="$filters '$filter'"; done
cat >"$work/system/init" <<END
#!/busybox sh
/busybox mount -t proc none /proc
/busybox mount -t devtmpfs none /dev
export RUST_TEST_THREADS=1 QKERNELS_ISA=${QKERNELS_ISA:-avx512vnni} ${PROPTEST_CASES:+PROPTEST_CASES=$PROPTEST_CASES}
verdict='all passed'
/tests/qkernels-* --nocapture every_available_set_can_be_chosen | /busybox grep -o 'instruction sets.* avx512vnni' || verdict=failed
for test in /tests/*; do \$test $filters || verdict=failed; done
echo "check_emulated: \$verdict"
/busybox sleep 1 # the serial port lags
/busybox poweroff -f
END
chmod +x "$work/system/init"
(cd "$work/system" && find . | cpio --quiet -o -H newc) >"$work/disc/initramfs"

# Bochs describes the compacted XSAVE area and protection keys wrongly, and Linux hangs early with all of the others
# together: it is told that the processor has none of them.
cp "$KERNEL" "$work/disc/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/disc/isolinux"
cat >"$work/disc/isolinux/isolinux.cfg" <<END
default linux
label linux
  kernel /vmlinuz
  initrd /initramfs
  append console=ttyS0,115200 quiet panic=-1 mitigations=off nokaslr no5lvl nopku clearcpuid=xsavec,xsaves,pku,ospke,fsrm,umip,sha_ni,rdpid,invpcid,pcid
END
xorriso -as mkisofs -quiet -o "$work/disc.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$work/disc" 2>"$work/xorriso.log"

cat >"$work/bochsrc" <<END
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model=corei7_icelake_u, ips=20000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
clock: sync=none
log: $work/log
panic: action=fatal
error: action=ignore
info: action=ignore
END
# Debian's Bochs starts in its debugger.
echo continue >"$work/debugger"
: >"$work/serial"
bochs -q -f "$work/bochsrc" -rc "$work/debugger" >"$work/bochs" 2>&1 </dev/null &
bochs=$!
tail -F --pid=$bochs "$work/serial" 2>/dev/null
bochs=

if ! grep -q 'check_emulated: all passed' "$work/serial"; then
    tail -n 3 "$work/log" >&2
    echo "check_emulated.sh: not all tests passed" >&2
    exit 1
fi
if ! grep -q '^test .* \.\.\. ok' "$work/serial"; then
    echo "check_emulated.sh: no test is named so" >&2
    exit 1
fi
