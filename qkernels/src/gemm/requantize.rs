//! Requantization of a block's sums with the kernels of the instruction set.

use crate::epilogue::{Epilogue, Panels, Requantize, Tiles, finish_by_rows};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::output_rows::OutputRows;

impl Epilogue for Requantize<'_> {
    type Output = u8;

    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [u8]) {
        self.finish_row(row, first_column, sums, output);
    }

    fn finish_wide(&self, row: usize, column: usize, sum: i64, output: &mut u8) {
        *output = self.requantization.requantize_wide(sum, column);
        self.add_to_row(row, column, std::slice::from_mut(output));
    }

    fn finish_rows(&self, isa: Isa, first_row: usize, columns: usize, sums: &[i32], output: &mut [u8]) {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
                avx512::requantize_rows(proof, self, first_row, sums, output)
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(proof) => avx2::requantize_rows(proof, self, first_row, sums, output),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(proof) => avx2::requantize_rows(proof.avx2(), self, first_row, sums, output),
            Isa::Scalar => {
                let rows = sums.chunks_exact(columns).zip(output.chunks_exact_mut(columns));
                for (row, (sums, output)) in rows.enumerate() {
                    self.finish_row(first_row + row, 0, sums, output);
                }
            }
        }
    }

    fn finish_tiles(&self, isa: Isa, panels: &Panels, tiles: &mut dyn Tiles, output: OutputRows<'_, u8>) {
        match isa {
            Isa::Scalar => finish_by_rows(self, panels, tiles, output),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
                avx512::requantize_tiles(proof, self, panels, tiles, output);
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(proof) => avx2::requantize_tiles(proof, self, panels, tiles, output),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(proof) => avx2::requantize_tiles(proof.avx2(), self, panels, tiles, output),
        }
    }
}
