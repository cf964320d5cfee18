//! `BufferPool`: memory of the float tensors that a model has dropped, for the next ones of the same length.
//!
//! New memory costs twice: the system's pages, and zeros that are overwritten at once. Each thread keeps what its last
//! run has left, so that the next one finds all lengths.

use std::cell::RefCell;
use std::collections::VecDeque;

use qkernels::elements;

use crate::Tensor;

thread_local! {
    static POOL: RefCell<BufferPool> = RefCell::default();
}

/// Memory of dropped tensors.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    /// The oldest first.
    buffers: VecDeque<Vec<f32>>,
    /// Sum of the buffers' lengths.
    len: usize,
    scratch: Vec<f32>,
}

impl BufferPool {
    /// The most values that are kept: 32 MB.
    const MAX_LEN: usize = 8 << 20;
    /// The most buffers that are kept, and looked through.
    const MAX_COUNT: usize = 64;

    /// The thread's pool. A model that runs within another one's kernel, on a thread that helps, finds an empty one.
    pub(super) fn of_thread() -> Self {
        POOL.take()
    }

    pub(super) fn return_to_thread(self) {
        POOL.set(self);
    }

    /// `len` values, which are to be overwritten: the newest, as it may still be in cache.
    pub(super) fn take(&mut self, len: usize) -> Vec<f32> {
        let position = self.buffers.iter().rposition(|buffer| buffer.len() == len);
        match position.and_then(|position| self.buffers.remove(position)) {
            Some(buffer) => {
                self.len -= len;
                buffer
            }
            None => vec![0.0; len],
        }
    }

    /// Keeps the memory of a tensor, if nobody shares it.
    pub(super) fn keep(&mut self, tensor: Tensor) {
        let Some(buffer) = tensor.into_unshared_vec() else { return };
        self.len += buffer.len();
        self.buffers.push_back(buffer);
        while self.len > Self::MAX_LEN || self.buffers.len() > Self::MAX_COUNT {
            let Some(oldest) = self.buffers.pop_front() else { return };
            self.len -= oldest.len();
        }
    }

    /// Whole words, so that a kernel can see them as any element.
    pub(super) fn scratch(&mut self, bytes: usize) -> &mut [u8] {
        let len = bytes.div_ceil(size_of::<f32>());
        if self.scratch.len() < len {
            self.scratch.resize(len, 0.0);
        }
        elements::bytes_mut(&mut self.scratch[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_for_the_same_length() {
        let mut pool = BufferPool::default();
        let tensor = Tensor::zeros(&[2, 3]);
        let address = tensor.as_slice().map(<[f32]>::as_ptr);
        pool.keep(tensor);
        assert_eq!(pool.take(5).len(), 5);
        let buffer = pool.take(6);
        assert_eq!(Some(buffer.as_ptr()), address);
        let other = pool.take(6);
        assert_ne!(other.as_ptr(), buffer.as_ptr());
    }

    #[test]
    fn shared_tensors_are_left_alone() {
        let mut pool = BufferPool::default();
        let tensor = Tensor::zeros(&[4]);
        pool.keep(tensor.clone());
        pool.take(4).fill(1.0);
        assert_eq!(tensor, Tensor::zeros(&[4]));
    }

    #[test]
    fn the_oldest_memory_goes_first() {
        let mut pool = BufferPool::default();
        pool.keep(Tensor::zeros(&[7]));
        pool.keep(Tensor::zeros(&[BufferPool::MAX_LEN - 3]));
        assert_eq!((pool.buffers.len(), pool.len), (1, BufferPool::MAX_LEN - 3));
        pool.keep(Tensor::zeros(&[BufferPool::MAX_LEN + 1]));
        assert_eq!((pool.buffers.len(), pool.len), (0, 0));
        (0..100).for_each(|_| pool.keep(Tensor::zeros(&[1])));
        assert_eq!((pool.buffers.len(), pool.len), (BufferPool::MAX_COUNT, BufferPool::MAX_COUNT));
    }
}
