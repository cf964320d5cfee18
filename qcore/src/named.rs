//! That a name in a `forward` body means the operation of that name, which only rustc can tell.
//!
//! Generated code asks it of every function that a body calls, at the path that the user wrote. Each function has a
//! type of its own, so that no other passes for it.

/// The function of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation<F>(pub F);

impl<F> Operation<F> {
    /// Compiles where `found` is this function.
    pub fn is_named<Found: IsOperation<F>>(self, found: &Found) {
        let _ = found;
    }
}

/// The function `F` itself.
#[diagnostic::on_unimplemented(
    message = "this function is not the operation of that name in `qcore::functional`",
    label = "another function",
    note = "`forward` becomes a graph of qcore's operations, so that a function of another crate or of your own would not run",
    note = "write `qcore::functional::..` if you mean the operation; else write what the function does with layers and operations"
)]
pub trait IsOperation<F> {}

#[diagnostic::do_not_recommend]
impl<F> IsOperation<F> for F {}

macro_rules! with_arguments {
    ($($function:ident($($argument:ty),*);)*) => {
        /// For functions that take arguments of several types, which are settled here: their names.
        pub mod named {
            use super::Operation;
            use crate::{Result, Size, Tensor};

            $(
                #[doc = concat!("`functional::", stringify!($function), "`.")]
                pub fn $function<F: Fn(&Tensor, $($argument),*) -> Result<Tensor>>(function: F) -> Operation<F> {
                    Operation(function)
                }
            )*
        }
    };
}

with_arguments! {
    add_scalar(f64);
    mul_scalar(f64);
    clamp(f64, f64);
    threshold(f64, f64);
    leaky_relu(f64);
    elu(f64);
    celu(f64);
    hardtanh(f64, f64);
    dropout(f64);
    interpolate(Option<Size<2>>, Option<f64>, &str, bool);
    pad(&[isize], &str, f64);
    max_pool2d(usize, usize, usize);
    avg_pool2d(usize, usize, usize);
    adaptive_avg_pool2d(usize);
}
