//! Tables of 256 bytes.

use crate::isa::Isa;

/// `output[i] = table[input[i]]`, for slices of equal length.
pub(crate) fn look_up(isa: Isa, table: &[u8; 256], input: &[u8], output: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if let Isa::Avx512Vnni(avx512) | Isa::Amx(avx512, _) = isa {
        return super::avx512::look_up(avx512, table, input, output);
    } else if let Some(avx2) = isa.avx2() {
        return super::avx2::look_up(avx2, table, input, output);
    }
    let _ = isa;
    for (output, &index) in output.iter_mut().zip(input) {
        *output = table[usize::from(index)];
    }
}
