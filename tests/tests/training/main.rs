//! Training: losses, optimizers and schedules give PyTorch's numbers (`tests/golden/training.py`), and a model that was
//! trained with fake quantization converts to integers that agree with it.

mod checkpoints;
mod conversion;
mod formulas;
mod operations;
mod pytorch_checkpoints;
mod trainer;
