//! Instruction sets as values: holding one proves that the processor has it.
//!
//! The best one is chosen at the first question. The environment variable `QKERNELS_ISA` (`scalar`, `avx2`,
//! `avxvnni`, `avx512vnni` or `amx`) and [`set_isa`] can lower the choice, for tests and bug reports, [`with_isa`] for a
//! while; a name that is unknown, or stands for an instruction set this processor lacks, is ignored. Every choice gives
//! the same bytes of integers; sums of floats are rounded in another order.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(target_arch = "x86_64")]
use crate::kernels::amx;

/// Defines the proof that the processor has some features.
#[cfg(target_arch = "x86_64")]
macro_rules! proof {
    ($(#[$doc:meta])* $name:ident: $($feature:tt)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(());

        impl $name {
            /// The proof, if the processor (and the operating system) has them.
            pub fn detect() -> Option<Self> {
                proof!(@detected $($feature)+).then_some(Self(()))
            }

            /// Runs `pass`, which is inlined and vectorised for them.
            #[inline(always)]
            fn run<P: Pass>(self, pass: P) -> P::Output {
                $(#[target_feature(enable = $feature)])+
                fn with_features<P: Pass>(pass: P) -> P::Output {
                    pass.run()
                }
                // SAFETY: `self` exists only where all of them were detected.
                unsafe { with_features(pass) }
            }
        }
    };
    (@detected $($feature:tt)+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
}

#[cfg(target_arch = "x86_64")]
proof! {
    /// Proof that the processor has AVX2, and the multiply-add of floats that comes with it.
    Avx2: "avx2" "fma"
}

#[cfg(target_arch = "x86_64")]
proof! {
    /// Proof that the processor has AVX2 and `vpdpbusd` on its 256-bit vectors.
    AvxVnni: "avx2" "fma" "avxvnni"
}

#[cfg(target_arch = "x86_64")]
proof! {
    /// Proof that the processor has `vpdpbusd` on 512-bit vectors, and AVX2.
    Avx512Vnni: "avx2" "fma" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"
}

/// Proof that the processor multiplies tiles of bytes (AMX), and that the operating system lets this process do so.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amx(());

#[cfg(target_arch = "x86_64")]
impl Amx {
    /// The proof, if it does. The first call asks the operating system for the permission.
    pub fn detect() -> Option<Self> {
        amx::is_available().then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl AvxVnni {
    /// It includes AVX2.
    pub(crate) fn avx2(self) -> Avx2 {
        Avx2(())
    }
}

/// The instruction set the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust, compiled for the build's target.
    Scalar,
    /// 256-bit integer vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// 256-bit vectors with a dot product of bytes.
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    /// 512-bit vectors with a dot product of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    /// 512-bit vectors with a dot product of bytes, and a product of tiles of them where that is faster.
    #[cfg(target_arch = "x86_64")]
    Amx(Avx512Vnni, Amx),
}

/// The choice as a number: 0 is none yet, otherwise [`Isa::code`].
static CHOSEN: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// The choice of [`with_isa`] as a number; 0 outside of it.
    static CHOSEN_HERE: Cell<u8> = const { Cell::new(0) };
}

/// The instruction set in use.
#[inline]
pub fn isa() -> Isa {
    let chosen = match CHOSEN_HERE.get() {
        0 => CHOSEN.load(Ordering::Relaxed),
        chosen => chosen,
    };
    // `set_isa` and `with_isa` store the choice, from a proof.
    match chosen {
        Isa::SCALAR => Isa::Scalar,
        #[cfg(target_arch = "x86_64")]
        Isa::AVX2 => Isa::Avx2(Avx2(())),
        #[cfg(target_arch = "x86_64")]
        Isa::AVX_VNNI => Isa::AvxVnni(AvxVnni(())),
        #[cfg(target_arch = "x86_64")]
        Isa::AVX512_VNNI => Isa::Avx512Vnni(Avx512Vnni(())),
        #[cfg(target_arch = "x86_64")]
        Isa::AMX => Isa::Amx(Avx512Vnni(()), Amx(())),
        _ => {
            set_isa(None);
            isa()
        }
    }
}

/// Uses another instruction set from now on; `None` is the choice made at the start.
pub fn set_isa(isa: Option<Isa>) {
    let isa = isa.unwrap_or_else(|| {
        let wanted = std::env::var("QKERNELS_ISA").ok();
        wanted.and_then(|name| Isa::from_name(&name)).unwrap_or_else(Isa::detected)
    });
    CHOSEN.store(isa.code(), Ordering::Relaxed);
}

/// Calls `body` with another instruction set for all kernels that it calls from this thread.
pub fn with_isa<R>(isa: Isa, body: impl FnOnce() -> R) -> R {
    struct Restored(u8);

    impl Drop for Restored {
        fn drop(&mut self) {
            CHOSEN_HERE.set(self.0);
        }
    }

    let _restored = Restored(CHOSEN_HERE.replace(isa.code()));
    body()
}

impl Isa {
    const SCALAR: u8 = 1;
    #[cfg(target_arch = "x86_64")]
    const AVX2: u8 = 2;
    #[cfg(target_arch = "x86_64")]
    const AVX_VNNI: u8 = 3;
    #[cfg(target_arch = "x86_64")]
    const AVX512_VNNI: u8 = 4;
    #[cfg(target_arch = "x86_64")]
    const AMX: u8 = 5;

    /// The best instruction set of this processor.
    pub fn detected() -> Self {
        Self::available().last().unwrap_or(Self::Scalar)
    }

    /// All instruction sets of this processor, the best one last.
    pub fn available() -> impl Iterator<Item = Self> {
        let scalar = std::iter::once(Self::Scalar);
        #[cfg(target_arch = "x86_64")]
        return scalar
            .chain(Avx2::detect().map(Self::Avx2))
            .chain(AvxVnni::detect().map(Self::AvxVnni))
            .chain(Avx512Vnni::detect().map(Self::Avx512Vnni))
            .chain(Avx512Vnni::detect().zip(Amx::detect()).map(|(avx512, amx)| Self::Amx(avx512, amx)));
        #[cfg(not(target_arch = "x86_64"))]
        scalar
    }

    /// The name, as in `QKERNELS_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => "avx512vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Amx(..) => "amx",
        }
    }

    /// The instruction set of that name, if this processor has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::available().find(|isa| isa.name() == name)
    }

    fn code(self) -> u8 {
        match self {
            Self::Scalar => Self::SCALAR,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Self::AVX2,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => Self::AVX_VNNI,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => Self::AVX512_VNNI,
            #[cfg(target_arch = "x86_64")]
            Self::Amx(..) => Self::AMX,
        }
    }

    /// Whether there are products of tiles.
    pub(crate) fn has_tiles(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(..) => true,
            _ => false,
        }
    }

    /// The proof of AVX2, which all larger instruction sets of x86-64 include.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx2(self) -> Option<Avx2> {
        match self {
            Self::Scalar => None,
            Self::Avx2(_) | Self::AvxVnni(_) | Self::Avx512Vnni(_) | Self::Amx(..) => Some(Avx2(())),
        }
    }

    /// Calls `body`, compiled for this instruction set: plain loops in it become its vectors.
    ///
    /// If it is small enough to be inlined, that is; [`run_pass`](Self::run_pass) leaves nothing to chance.
    #[inline(always)]
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.run_pass(Closure(body))
    }

    /// Runs `pass`, compiled for this instruction set.
    #[inline(always)]
    pub(crate) fn run_pass<P: Pass>(self, pass: P) -> P::Output {
        match self {
            Self::Scalar => pass.run(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => proof.run(pass),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(proof) => proof.run(pass),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(proof) | Self::Amx(proof, _) => proof.run(pass),
        }
    }
}

/// A loop and its operands.
///
/// A closure would do, could it be marked `#[inline(always)]`: where the compiler finds one too large to
/// inline, its loops are those of the build's target.
pub(crate) trait Pass {
    type Output;

    /// To be marked `#[inline(always)]`.
    fn run(self) -> Self::Output;
}

struct Closure<F>(F);

impl<R, F: FnOnce() -> R> Pass for Closure<F> {
    type Output = R;

    #[inline(always)]
    fn run(self) -> R {
        (self.0)()
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_available_sets_are_recognised_and_others_are_not() {
        for isa in Isa::available() {
            assert_eq!(Isa::from_name(&isa.to_string()), Some(isa));
        }
        assert_eq!(Isa::from_name("avx1024"), None);
    }

    #[test]
    fn a_choice_for_a_while_is_for_this_thread_and_ends_with_a_panic() {
        let caught = std::panic::catch_unwind(|| {
            with_isa(Isa::Scalar, || {
                assert_eq!(isa(), Isa::Scalar);
                with_isa(Isa::detected(), || assert_eq!(isa(), Isa::detected()));
                assert_eq!(isa(), Isa::Scalar);
                panic!("as a caller may");
            })
        });
        assert!(caught.is_err());
        assert_eq!(CHOSEN_HERE.get(), 0);
    }

    #[test]
    fn every_available_set_can_be_chosen() {
        let before = isa();
        // `check_emulated.sh` reads this.
        println!("instruction sets: {}", Isa::available().map(Isa::name).collect::<Vec<_>>().join(" "));
        for wanted in Isa::available() {
            set_isa(Some(wanted));
            assert_eq!(isa(), wanted);
        }
        set_isa(Some(before));
    }
}
