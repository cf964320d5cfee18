//! The most multiplications of a core, measured: the yardstick for kernels.

use crate::isa::Isa;

/// How many 8-bit multiply-accumulates a second one core does with nothing but the instruction that the kernels of
/// `isa` multiply with, on registers: the best of many short measurements in 20 ms. `None` without such an
/// instruction.
pub fn multiply_accumulates_per_second(isa: Isa) -> Option<f64> {
    match isa {
        Isa::Scalar => None,
        #[cfg(target_arch = "x86_64")]
        _ => x86_64::multiply_accumulates_per_second(isa),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use crate::isa::Isa;
    use crate::kernels::amx::{TileRegisters, TileShape};

    /// Independent chains of multiplications: more than two a cycle of latency five need, and no more than fit into 16
    /// registers.
    const CHAINS: usize = 12;

    /// Multiplications of each chain in one measurement, a few dozen microseconds.
    const LENGTH: usize = 1 << 14;

    /// Times that four pairs of tiles are multiplied in one measurement, about as long.
    const TIMES: usize = 1 << 10;

    pub(super) fn multiply_accumulates_per_second(isa: Isa) -> Option<f64> {
        if let Isa::Amx(_, proof) = isa {
            let registers = TileRegisters::configure(proof, TileShape::MAX);
            let products = TileShape::MAX.products();
            return Some((4 * products * TIMES) as f64 / best(|| registers.multiply_themselves(TIMES)));
        }
        chains(isa).map(|(products, run)| (products * CHAINS * LENGTH) as f64 / best(run))
    }

    /// The shortest time of `run`, in seconds.
    fn best(run: impl Fn()) -> f64 {
        let begin = Instant::now();
        let mut best = Duration::MAX;
        while begin.elapsed() < Duration::from_millis(20) {
            let start = Instant::now();
            run();
            best = best.min(start.elapsed());
        }
        best.as_secs_f64()
    }

    /// The number of products that one instruction adds up, and a function that runs all chains once.
    fn chains(isa: Isa) -> Option<(usize, fn())> {
        match isa {
            Isa::Scalar | Isa::Amx(..) => None,
            // SAFETY: the token exists only where AVX2 was detected; so below.
            Isa::Avx2(_) => Some((16, || unsafe { avx2() })),
            // SAFETY: as above.
            Isa::AvxVnni(_) => Some((32, || unsafe { avx_vnni() })),
            // SAFETY: as above.
            Isa::Avx512Vnni(_) => Some((64, || unsafe { avx512_vnni() })),
        }
    }

    /// `vpmaddwd` sums pairs in 32 bits; the chain passes through a factor, as it has no accumulator.
    #[target_feature(enable = "avx2")]
    fn avx2() {
        let mut factors = black_box([_mm256_set1_epi16(3); CHAINS]);
        let weights = black_box(_mm256_set1_epi16(5));
        for _ in 0..LENGTH {
            for factor in &mut factors {
                *factor = _mm256_madd_epi16(*factor, weights);
            }
        }
        black_box(factors);
    }

    #[target_feature(enable = "avx2", enable = "avxvnni")]
    fn avx_vnni() {
        let mut sums = black_box([_mm256_setzero_si256(); CHAINS]);
        let [activations, weights] = black_box([_mm256_set1_epi8(3), _mm256_set1_epi8(5)]);
        for _ in 0..LENGTH {
            for sum in &mut sums {
                *sum = _mm256_dpbusd_avx_epi32(*sum, activations, weights);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f", enable = "avx512vnni")]
    fn avx512_vnni() {
        let mut sums = black_box([_mm512_setzero_si512(); CHAINS]);
        let [activations, weights] = black_box([_mm512_set1_epi8(3), _mm512_set1_epi8(5)]);
        for _ in 0..LENGTH {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, activations, weights);
            }
        }
        black_box(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multiplications_are_not_optimised_away() {
        assert_eq!(multiply_accumulates_per_second(Isa::Scalar), None);
        for isa in Isa::available().filter(|isa| *isa != Isa::Scalar) {
            let peak = multiply_accumulates_per_second(isa).unwrap();
            assert!(peak > 0.0 && peak < 1e13, "{isa}: {peak}");
        }
    }
}
