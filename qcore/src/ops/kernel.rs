//! `Kernel`: an operation made ready for inputs of one shape, and the operation that may follow it in registers.

use std::fmt;

use qkernels::elements::{self, Element};
use qkernels::elementwise::BinaryQParams;

/// An operation for inputs of one shape, on buffers of bytes.
///
/// `qkernels::elements` sees bytes as elements. A kernel writes every element of its outputs and allocates nothing.
pub trait Kernel: fmt::Debug + Send + Sync {
    /// Writes the outputs.
    ///
    /// # Errors
    /// When a buffer has another length than was planned.
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()>;

    /// Whether [`Output::pixel_stride`] may be larger than a pixel. Without it outputs are dense.
    fn takes_pixel_stride(&self) -> bool {
        false
    }

    /// The cost of one run, for reports.
    fn cost(&self) -> KernelCost {
        KernelCost::default()
    }

    /// The kernel as the post-operation of another one, on its first input; `None` if it is none.
    fn as_post(&self) -> Option<Post> {
        None
    }

    /// The kernel that does this and then `post`, bit for bit what the two would do; the second operand of an
    /// addition becomes its last input.
    fn with_post(&self, _post: &Post) -> Option<Box<dyn Kernel>> {
        None
    }

    /// Elements of a pixel, if this only copies pixels to where they belong.
    fn as_copy(&self) -> Option<usize> {
        None
    }
}

/// Where a kernel writes.
#[derive(Debug)]
pub struct Output<'a> {
    /// Begins at the first pixel.
    pub bytes: &'a mut [u8],
    /// Elements from one pixel to the next.
    pub pixel_stride: usize,
}

/// A post-operation: one that may follow a kernel before its results leave the registers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Post {
    /// Limits bytes.
    Clamp([u8; 2]),
    /// Limits floats; NaN stays.
    ClampFloat([f32; 2]),
    /// Adds another input.
    Add(BinaryQParams),
}

/// The cost of one run of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    /// Products that are added up.
    pub multiply_accumulates: u64,
    /// Bytes of weights that are read.
    pub weight_bytes: u64,
    /// Which of several kernels runs, where there is a choice.
    pub kernel: String,
}

/// A kernel of one output that is a function of bytes.
struct FnKernel<F> {
    name: &'static str,
    takes_pixel_stride: bool,
    post: Option<Post>,
    run: F,
}

impl<F> fmt::Debug for FnKernel<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<F> Kernel for FnKernel<F>
where
    F: Fn(&[&[u8]], &mut [u8], usize) -> qkernels::Result<()> + Send + Sync,
{
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, pixel_stride }] = outputs else { return Ok(()) };
        (self.run)(inputs, bytes, *pixel_stride)
    }

    fn takes_pixel_stride(&self) -> bool {
        self.takes_pixel_stride
    }

    fn as_post(&self) -> Option<Post> {
        self.post
    }
}

/// A kernel from one dense buffer of `I` to one of `O`.
pub fn unary<I: Element, O: Element>(
    name: &'static str,
    run: impl Fn(&[I], &mut [O]) -> qkernels::Result<()> + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    unary_post(name, None, run)
}

/// [`unary`], which computes the same as `post`.
pub(super) fn unary_post<I: Element, O: Element>(
    name: &'static str,
    post: Option<Post>,
    run: impl Fn(&[I], &mut [O]) -> qkernels::Result<()> + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    let run = move |inputs: &[&[u8]], output: &mut [u8], _| {
        run(elements::view(input(inputs, 0))?, elements::view_mut(output)?)
    };
    Box::new(FnKernel { name, takes_pixel_stride: false, post, run })
}

/// A kernel from two dense buffers of `I` to one of `O`.
pub fn binary<I: Element, O: Element>(
    name: &'static str,
    run: impl Fn(&[I], &[I], &mut [O]) -> qkernels::Result<()> + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    binary_post(name, None, run)
}

/// [`binary`], which computes the same as `post`.
pub(super) fn binary_post<I: Element, O: Element>(
    name: &'static str,
    post: Option<Post>,
    run: impl Fn(&[I], &[I], &mut [O]) -> qkernels::Result<()> + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    let run = move |inputs: &[&[u8]], output: &mut [u8], _| {
        let (a, b) = (elements::view(input(inputs, 0))?, elements::view(input(inputs, 1))?);
        run(a, b, elements::view_mut(output)?)
    };
    Box::new(FnKernel { name, takes_pixel_stride: false, post, run })
}

/// A kernel from one buffer of `T` to another, whose pixels may have room between them: `run` gets the distance in
/// elements last.
pub(super) fn strided<T: Element>(
    name: &'static str,
    run: impl Fn(&[T], &mut [T], usize) -> qkernels::Result<()> + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    let run = move |inputs: &[&[u8]], output: &mut [u8], pixel_stride| {
        run(elements::view(input(inputs, 0))?, elements::view_mut(output)?, pixel_stride)
    };
    Box::new(FnKernel { name, takes_pixel_stride: true, post: None, run })
}

/// The bytes of an input; none if the kernel has fewer, which its checks of lengths then report.
pub(super) fn input<'a>(inputs: &[&'a [u8]], index: usize) -> &'a [u8] {
    inputs.get(index).copied().unwrap_or_default()
}
