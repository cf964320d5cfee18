//! The tile registers of a thread.

use std::arch::asm;
use std::marker::PhantomData;

use crate::isa::Amx;
use crate::panel::{PANEL, PanelQuad, QUAD};

/// The most rows of a tile.
const MAX_ROWS: usize = 16;

/// Bytes of a row of sums or of weights.
const LINE: usize = size_of::<PanelQuad>();

/// The sizes of the tiles that are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TileShape {
    /// Rows of activations and sums.
    pub(crate) rows: usize,
    /// Steps of depth, four bytes each: rows of weights.
    pub(crate) quads: usize,
}

impl TileShape {
    pub(crate) const MAX: Self = Self { rows: MAX_ROWS, quads: LINE / QUAD };

    /// Products that are added up when two tiles are multiplied.
    pub(crate) fn products(self) -> usize {
        self.rows * PANEL * self.quads * QUAD
    }
}

/// The tile registers of this thread, while they are in use: 0 to 3 for sums, 4 and 5 for activations, 6 and 7 for
/// weights.
///
/// Nothing else touches them: no compiler uses them of its own accord, and the operating system keeps those of each
/// thread apart.
#[derive(Debug)]
pub(crate) struct TileRegisters {
    shape: TileShape,
    /// They belong to a thread.
    not_send: PhantomData<*mut ()>,
}

impl TileRegisters {
    /// Configures the registers for tiles of that shape.
    pub(crate) fn configure(_: Amx, shape: TileShape) -> Self {
        assert!((1..=TileShape::MAX.rows).contains(&shape.rows));
        assert!((1..=TileShape::MAX.quads).contains(&shape.quads));
        let configuration = Configuration::new(shape);
        // SAFETY: the proof exists only where tiles can be used, and the configuration is a valid one.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) &raw const configuration,
                options(readonly, nostack, preserves_flags),
            );
        }
        Self { shape, not_send: PhantomData }
    }

    pub(crate) fn shape(&self) -> TileShape {
        self.shape
    }
}

impl Drop for TileRegisters {
    /// Registers without data cost nothing when threads take turns on a processor.
    fn drop(&mut self) {
        // SAFETY: the registers have been configured.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

/// The operand of `ldtilecfg`.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

impl Configuration {
    fn new(shape: TileShape) -> Self {
        let mut configuration =
            Self { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_row: [0; 16], rows: [0; 16] };
        for register in 0..8 {
            let (rows, bytes) = match register {
                0..4 => (shape.rows, LINE),
                4..6 => (shape.rows, shape.quads * QUAD),
                _ => (shape.quads, LINE),
            };
            // At most 16 and 64.
            configuration.rows[register] = rows as u8;
            configuration.bytes_of_row[register] = bytes as u16;
        }
        configuration
    }
}
