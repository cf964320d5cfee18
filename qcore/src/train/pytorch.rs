//! Checkpoints of PyTorch's `prepare_qat_fx`.

use std::collections::{BTreeMap, BTreeSet};

use super::Trainable;
use crate::model::Module;
use crate::quantize::fake_quantize::{BUFFERS, OBSERVER_BUFFERS};
use crate::{Error, FakeQuantize, Observer, Result, StateDict, StateDictMismatch, join};

/// PyTorch's counter of training batches, which is of no use here.
const COUNTER: &str = "num_batches_tracked";

impl<M: Module> Trainable<M> {
    /// Loads the state dict of a model that PyTorch's `prepare_qat_fx` made and trained: parameters, statistics, and of each
    /// fake quantization its switches, ranges, scale and zero point. The mapping of [`Module::prepare_qat`] has to be the
    /// one that was given there.
    ///
    /// A batch norm that PyTorch has within its convolution (`conv1.bn`) is found there, and the fake quantizations of values,
    /// `activation_post_process_0` and so on, are taken in the order in which the operations run.
    ///
    /// ```no_run
    /// # use qcore::prelude::*;
    /// # fn example<M: Module>(net: M) -> qcore::Result<()> {
    /// let mut model = net.prepare_qat(&QConfigMapping::for_qat(Backend::Fbgemm))?;
    /// model.load_pytorch_state_dict(&StateDict::open("qat.safetensors")?)?;
    /// model.eval();
    /// let int8 = model.convert()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a key is missing, unexpected or of another shape, or the state of a fake quantization makes no sense. The model is
    /// then as it was.
    pub fn load_pytorch_state_dict(&mut self, state_dict: &StateDict) -> Result<()> {
        let mut mismatch = StateDictMismatch::default();
        let mut known = BTreeSet::new();
        let mut parameters = StateDict::new();
        let within = self.batch_norms_within();
        for key in self.state_dict().keys() {
            let theirs = match key.rsplit_once('.') {
                Some((path, name)) => join(within.get(path).map_or(path, String::as_str), name),
                None => key.to_owned(),
            };
            match state_dict.tensor(&theirs)? {
                Some(tensor) => parameters.insert(key, tensor),
                None => mismatch.missing.push(theirs.clone()),
            }
            known.insert(theirs);
        }
        let mut weights: Vec<Option<Box<dyn Observer>>> =
            self.network.layers.iter().map(|layer| layer.weight_observer.clone()).collect();
        let mut edges: Vec<Box<dyn Observer>> =
            self.network.observations.edges.iter().map(|edge| edge.observer.clone()).collect();
        let mut load = |prefix: &str, observer: &mut dyn Observer| -> Result<()> {
            let Some(fake_quant) = observer.as_fake_quantize_mut() else { return Ok(()) };
            load(prefix, fake_quant, state_dict, &mut known, &mut mismatch)
        };
        for (layer, observer) in self.network.layers.iter().zip(&mut weights) {
            if let Some(observer) = observer {
                load(
                    &join(layer.path.as_deref().unwrap_or_default(), "weight_fake_quant"),
                    observer.as_mut(),
                )?;
            }
        }
        let observed = self.network.plan.observed.iter().filter_map(|observed| observed.observer);
        for (number, edge) in observed.enumerate() {
            load(&format!("activation_post_process_{number}"), edges[edge].as_mut())?;
        }
        let unexpected = state_dict.keys().filter(|key| !known.contains(*key) && !key.ends_with(COUNTER));
        mismatch.unexpected = unexpected.map(str::to_owned).collect();
        if !mismatch.is_empty() {
            return Err(Error::StateDict(mismatch));
        }
        self.load_state_dict(&parameters)?;
        for (layer, observer) in self.network.layers.iter_mut().zip(weights) {
            layer.weight_observer = observer;
        }
        for (edge, observer) in self.network.observations.edges.iter_mut().zip(edges) {
            edge.observer = observer;
        }
        self.zero_grad();
        Ok(())
    }

    /// The paths of batch norms whose factor is in the weight before them, with those that PyTorch gives them.
    fn batch_norms_within(&self) -> BTreeMap<&str, String> {
        let calls = self.network.plan.network.nodes.iter().filter_map(|node| node.call.as_ref());
        let pairs = calls.filter_map(|call| match &call.members[..] {
            [first, second, ..] if second.op.as_batch_norm().is_some() => {
                let (first, second) = (first.path.as_deref()?, second.path.as_deref()?);
                self.weight_observer(first).map(|_| (second, join(first, "bn")))
            }
            _ => None,
        });
        pairs.collect()
    }
}

/// Loads what is below `prefix` into a fake quantization, and notes the keys.
fn load(
    prefix: &str,
    fake_quant: &mut FakeQuantize,
    state_dict: &StateDict,
    known: &mut BTreeSet<String>,
    mismatch: &mut StateDictMismatch,
) -> Result<()> {
    let mut state = StateDict::new();
    let missing = mismatch.missing.len();
    for name in BUFFERS.into_iter().chain(OBSERVER_BUFFERS) {
        let key = join(prefix, name);
        match state_dict.tensor(&key)? {
            Some(tensor) => state.insert(name, tensor),
            None if BUFFERS.contains(&name) => mismatch.missing.push(key.clone()),
            None => {}
        }
        known.insert(key);
    }
    if mismatch.missing.len() > missing {
        return Ok(());
    }
    fake_quant.load_pytorch(&state).map_err(|error| error.in_layer(prefix))
}
