//! `Unbuildable`: stands for the networks of a model whose `forward` has mistakes.

use crate::archive::{Archive, ArchiveWriter, Record};
use crate::graph::Graph;
use crate::model::{ConvertedNetwork, PreparedNetwork, Quantizable};
use crate::observation::Observation;
use crate::plan::Conversion;
use crate::program::Value;
use crate::values::Values;
use crate::{Error, QTensor, Result, Tensor};

/// No value of this type exists. `#[quantizable]` names it beside its compile errors, so that rustc has nothing
/// to add to them.
#[derive(Clone, Copy, Debug)]
pub enum Unbuildable {}

impl Unbuildable {
    /// A graph of nothing.
    pub const GRAPH: &'static Graph =
        &Graph { model: "", inputs: &[], values: &[], nodes: &[], outputs: &[] };

    /// What a function of such a model would answer.
    ///
    /// # Errors
    /// Always.
    pub fn refuse<T>() -> Result<T> {
        Err(Error::Unsupported("a model that does not compile".to_owned()))
    }
}

impl Record for Unbuildable {
    fn save(&self, _: &mut ArchiveWriter, _: &str) -> Result<()> {
        match *self {}
    }

    fn load(_: &Archive, _: &str) -> Result<Self> {
        Self::refuse()
    }
}

impl<M: Quantizable> PreparedNetwork<M> for Unbuildable {
    fn run(
        &self,
        _: &mut Observation<'_>,
        _: <M::Input as Values>::Of<Tensor>,
    ) -> Result<<M::Output as Values>::Of<Tensor>> {
        match *self {}
    }

    fn convert(&self, _: &Conversion<'_>) -> Result<M::Converted> {
        match *self {}
    }
}

impl<M: Quantizable> ConvertedNetwork<M> for Unbuildable {
    fn run(&self, _: <M::Input as Values>::Of<Value>) -> Result<<M::Output as Values>::Of<Value>> {
        match *self {}
    }

    fn visit_weights(&self, _: &mut dyn FnMut(&str, &QTensor)) {
        match *self {}
    }
}
