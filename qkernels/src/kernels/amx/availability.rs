//! Whether this process may use tiles.

use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

/// Whether the processor multiplies tiles of bytes and the operating system lets this process do so; asked once.
pub(crate) fn is_available() -> bool {
    static IS_AVAILABLE: OnceLock<bool> = OnceLock::new();
    *IS_AVAILABLE.get_or_init(|| has_instructions() && saves_tiles() && is_permitted())
}

fn has_bits(register: u32, bits: &[u32]) -> bool {
    bits.iter().all(|bit| register >> bit & 1 == 1)
}

/// Whether the processor has tiles and `tdpbusd`.
#[allow(unused_unsafe, reason = "`cpuid` has become a safe function in later versions")]
fn has_instructions() -> bool {
    const TILES: u32 = 24;
    const PRODUCTS_OF_BYTES: u32 = 25;
    // SAFETY: every processor of x86-64 has `cpuid`, and leaf 0 tells the last one.
    unsafe { __cpuid(0).eax >= 7 && has_bits(__cpuid_count(7, 0).edx, &[TILES, PRODUCTS_OF_BYTES]) }
}

/// Whether the operating system saves the configuration and the data of tiles.
#[allow(unused_unsafe, reason = "`cpuid` has become a safe function in later versions")]
fn saves_tiles() -> bool {
    const XGETBV: u32 = 27;
    // SAFETY: as above; leaf 1 always exists.
    if !has_bits(unsafe { __cpuid(1) }.ecx, &[XGETBV]) {
        return false;
    }
    let states: u32;
    // SAFETY: the operating system has made `xgetbv` available, which reads the register `ecx` names.
    unsafe {
        std::arch::asm!(
            "xgetbv",
            in("ecx") 0,
            out("eax") states,
            out("edx") _,
            options(nomem, nostack, preserves_flags),
        );
    }
    has_bits(states, &[17, 18])
}

/// Linux gives the state that tiles need to processes that ask for it (`arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)`).
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XTILEDATA: u64 = 18;
    let result: u64;
    // SAFETY: a system call with two numbers, which overwrites the three registers.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}
