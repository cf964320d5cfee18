//! PyTorch's defaults of parameters, which files leave out: the functions for serde's `default` and
//! `skip_serializing_if`.

use super::Size;

pub(super) fn yes() -> bool {
    true
}

pub(super) fn is_yes(value: &bool) -> bool {
    *value
}

pub(super) fn is_no(value: &bool) -> bool {
    !*value
}

pub(super) fn one() -> usize {
    1
}

pub(super) fn is_one(value: &usize) -> bool {
    *value == 1
}

pub(super) fn ones<const D: usize>() -> Size<D> {
    Size::from(1)
}

pub(super) fn are_ones<const D: usize>(size: &Size<D>) -> bool {
    *size == ones()
}

pub(super) fn zeros<const D: usize>() -> Size<D> {
    Size::from(0)
}

pub(super) fn are_zeros<const D: usize>(size: &Size<D>) -> bool {
    *size == zeros()
}
