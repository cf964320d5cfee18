//! `BufferPool`: memory of the float tensors that a model has dropped, for the next ones.
//!
//! New memory costs twice: the system's pages, and zeros that are overwritten at once. Each thread keeps what its last
//! run has left. Tensors may begin a longer buffer, so that a few buffers serve a whole network.

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

    /// A buffer of `len` values at least, which are to be overwritten: the shortest there is, so that longer ones stay
    /// for longer tensors and all together are few enough for a cache; of several the newest.
    pub(super) fn take(&mut self, len: usize) -> Vec<f32> {
        let fitting = self.buffers.iter().enumerate().rev().filter(|(_, buffer)| buffer.len() >= len);
        let position = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(position, _)| position);
        self.remove_or_make(position, len)
    }

    /// [`take`](Self::take) of exactly `len` values.
    pub(super) fn take_exactly(&mut self, len: usize) -> Vec<f32> {
        let position = self.buffers.iter().rposition(|buffer| buffer.len() == len);
        self.remove_or_make(position, len)
    }

    fn remove_or_make(&mut self, position: Option<usize>, len: usize) -> Vec<f32> {
        match position.and_then(|position| self.buffers.remove(position)) {
            Some(buffer) => {
                self.len -= buffer.len();
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
    fn the_shortest_memory_that_fits_is_used_again() {
        let mut pool = BufferPool::default();
        let mut keep = |len| {
            let tensor = Tensor::zeros(&[len]);
            let address = tensor.as_slice().map(<[f32]>::as_ptr);
            pool.keep(tensor);
            address
        };
        let [longest, older, newer, _] = [9, 6, 6, 3].map(&mut keep);
        let taken = [5, 4, 6].map(|len| pool.take(len));
        assert_eq!(taken.each_ref().map(|buffer| Some(buffer.as_ptr())), [newer, older, longest]);
        assert_eq!(pool.take_exactly(2).len(), 2);
        assert_eq!(pool.take(4).len(), 4);
        assert_eq!(pool.len, 3);
    }

    #[test]
    fn a_tensor_keeps_all_of_its_memory() {
        let mut pool = BufferPool::default();
        pool.keep(Tensor::from_buffer(&[2, 2], vec![1.0; 7]).unwrap());
        assert_eq!(pool.take(4), [1.0; 7]);
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
