//! Products of tiles of bytes: the AMX extension, in assembly, as its intrinsics are not stable.
//!
//! A tile register holds up to sixteen rows of 64 bytes. `tdpbusd` multiplies a tile of activations, 64 neighbours of
//! each row, with one of weights, which is sixteen [quads](crate::panel::PanelQuad) of a panel as they are packed,
//! and adds the products to a tile of sums.

mod availability;
mod multiply;
mod registers;
mod rows;

pub(crate) use availability::is_available;
pub(crate) use registers::{TileRegisters, TileShape};
pub(crate) use rows::{DepthSteps, RowTiles, TileBuffers};
