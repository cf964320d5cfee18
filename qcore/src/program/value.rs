//! `Value`: an activation while a converted model is being recorded.

use std::cell::RefCell;
use std::rc::Rc;

use super::Recorder;
use super::record::ValueId;
use crate::{Error, Result};

/// An activation of which the recorder knows the shape, and in which domains it is there.
#[derive(Clone, Debug)]
pub struct Value {
    recorder: Rc<RefCell<Recorder>>,
    id: ValueId,
}

impl Value {
    pub(crate) fn new(recorder: Rc<RefCell<Recorder>>, id: ValueId) -> Self {
        Self { recorder, id }
    }

    pub(crate) fn id(&self) -> ValueId {
        self.id
    }

    /// The extent of axis `dim`; negative counts from the end.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn size(&self, dim: isize) -> Result<usize> {
        let recorder = self.recorder.borrow();
        let shape = recorder.shape(self.id);
        Ok(shape[crate::tensor::resolve_axis("size", dim, shape)?])
    }

    /// Records a call on `inputs`; all are of one recorder.
    pub(crate) fn record<const N: usize>(
        inputs: [Self; N],
        record: impl FnOnce(&mut Recorder, &[ValueId]) -> Result<ValueId>,
    ) -> Result<Self> {
        let Some(first) = inputs.first() else {
            return Err(Error::Unsupported("an operation without inputs".into()));
        };
        let ids = inputs.each_ref().map(Self::id);
        let id = record(&mut first.recorder.borrow_mut(), &ids)?;
        Ok(Self { recorder: Rc::clone(&first.recorder), id })
    }
}
