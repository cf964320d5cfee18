//! Buffers for vectors.

/// Bytes of the largest vector, and of a cache line: an aligned vector never lies in two lines.
const ALIGNMENT: usize = 64;

/// A buffer of numbers whose first element lies at a multiple of 64 bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlignedBuffer<T>(Vec<T>);

impl<T: Copy + Default> AlignedBuffer<T> {
    /// The first `len` elements, whatever they are; the buffer grows if it must.
    pub(crate) fn first_mut(&mut self, len: usize) -> &mut [T] {
        let slack = ALIGNMENT / size_of::<T>();
        if self.0.len() < len + slack {
            self.0.resize(len + slack, T::default());
        }
        let first = self.start();
        &mut self.0[first..][..len]
    }

    /// The first `len` elements.
    pub(crate) fn first(&self, len: usize) -> &[T] {
        &self.0[self.start()..][..len]
    }

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT / size_of::<T>())
    }

    /// Bytes it takes.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn byte_len(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}
