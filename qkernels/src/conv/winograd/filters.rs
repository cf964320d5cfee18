//! Transformed filters.

use super::{FILTER_TAPS, POSITIONS};
use crate::aligned::AlignedBuffer;
use crate::gemm::{PackedMatrix, PanelColumns};
use crate::isa::{Pass, isa};
use crate::panel::{PANEL, PanelQuad, QUAD, Sums};

/// The filters of a convolution as `2G g 2Gt`, 16 bits wide.
#[derive(Clone, Debug)]
pub(crate) struct WinogradFilters {
    channels: usize,
    /// `[panels][POSITIONS][C / 2][PANEL][2]`.
    weights: AlignedBuffer<i16>,
    /// The sum of each column's weights less their zero points, for each panel.
    sums: Vec<Sums>,
}

impl WinogradFilters {
    /// Of a matrix whose runs are single taps, `C` a multiple of [`QUAD`].
    pub(crate) fn new(matrix: &PackedMatrix) -> Self {
        let channels = matrix.runs().len;
        let quads = channels / QUAD;
        assert_eq!((matrix.runs().count, quads * QUAD), (FILTER_TAPS, channels));
        let mut filters = Self {
            channels,
            weights: AlignedBuffer::default(),
            sums: matrix.columns_of_panel().iter().map(|known| centred_sums(known, channels)).collect(),
        };
        let panel_len = filters.panel_len();
        let weights = filters.weights.first_mut(matrix.panels() * panel_len);
        for (panel, weights) in weights.chunks_exact_mut(panel_len).enumerate() {
            let zero_points =
                matrix.columns_of_panel()[panel].zero_points.map(|zero_point| zero_point as i16);
            isa().run_pass(TransformPanel {
                quads: matrix.quads(panel, 1),
                zero_points: &zero_points,
                weights,
            });
        }
        filters
    }

    fn panel_len(&self) -> usize {
        POSITIONS * self.channels * PANEL
    }

    /// The weights of a panel at one position of the patch, `[C / 2][PANEL][2]`.
    pub(super) fn weights(&self, panel: usize, position: usize) -> &[i16] {
        let len = self.channels * PANEL;
        &self.weights.first(self.sums.len() * self.panel_len())[(panel * POSITIONS + position) * len..][..len]
    }

    /// The sum of each column's weights less their zero points.
    pub(super) fn sums(&self, panel: usize) -> &Sums {
        &self.sums[panel]
    }

    /// Bytes of memory they take.
    pub(crate) fn byte_len(&self) -> usize {
        self.weights.byte_len() + size_of_val(self.sums.as_slice())
    }
}

fn centred_sums(known: &PanelColumns, channels: usize) -> Sums {
    let mut sums: Sums = known.zero_points.map(|zero_point| -zero_point * (FILTER_TAPS * channels) as i32);
    for run_sums in &known.run_sums {
        for (sum, run_sum) in sums.iter_mut().zip(run_sums) {
            *sum += run_sum;
        }
    }
    sums
}

/// Transforms the filters of a panel.
struct TransformPanel<'a> {
    /// `[FILTER_TAPS][C / QUAD]`
    quads: &'a [PanelQuad],
    zero_points: &'a [i16; PANEL],
    /// `[POSITIONS][C / 2][PANEL][2]`
    weights: &'a mut [i16],
}

/// Weights of a [`PanelQuad`], or what becomes of them.
type Lanes = [i16; PANEL * QUAD];

impl Pass for TransformPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let quads = self.quads.len() / FILTER_TAPS;
        let position_len = quads * PANEL * QUAD;
        let mut zero_points: Lanes = [0; PANEL * QUAD];
        for (lanes, zero_point) in zero_points.as_chunks_mut::<QUAD>().0.iter_mut().zip(self.zero_points) {
            *lanes = [*zero_point; QUAD];
        }
        let mut filter: [Lanes; FILTER_TAPS] = [[0; PANEL * QUAD]; FILTER_TAPS];
        let mut transformed: [Lanes; POSITIONS] = [[0; PANEL * QUAD]; POSITIONS];
        for quad in 0..quads {
            for (tap, lanes) in filter.iter_mut().enumerate() {
                let weights = &self.quads[tap * quads + quad].0;
                for ((lane, weight), zero_point) in lanes.iter_mut().zip(weights).zip(&zero_points) {
                    *lane = i16::from(*weight) - zero_point;
                }
            }
            transform(&filter, &mut transformed);
            for (position, lanes) in transformed.iter().enumerate() {
                let pairs =
                    &mut self.weights[position * position_len + quad * PANEL * QUAD..][..PANEL * QUAD];
                // From [PANEL][2][2] to [2][PANEL][2].
                let (first, second) = pairs.split_at_mut(PANEL * 2);
                let columns = first.as_chunks_mut::<2>().0.iter_mut().zip(second.as_chunks_mut::<2>().0);
                for ([w0, w1, w2, w3], (first, second)) in lanes.as_chunks::<QUAD>().0.iter().zip(columns) {
                    (*first, *second) = ([*w0, *w1], [*w2, *w3]);
                }
            }
        }
    }
}

/// `2G g 2Gt`, with `2G = [2 0 0; 1 1 1; 1 -1 1; 0 0 2]`; magnitudes grow to nine times the largest weight.
#[inline(always)]
fn transform(filter: &[Lanes; FILTER_TAPS], transformed: &mut [Lanes; POSITIONS]) {
    let mut columns = [[[0; PANEL * QUAD]; 4]; 3];
    for (x, column) in columns.iter_mut().enumerate() {
        along([&filter[x], &filter[3 + x], &filter[6 + x]], column);
    }
    for (y, row) in transformed.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        along([&columns[0][y], &columns[1][y], &columns[2][y]], row);
    }
}

/// `2G g`: loops over whole arrays, as those become vectors.
#[inline(always)]
fn along([g0, g1, g2]: [&Lanes; 3], transformed: &mut [Lanes; 4]) {
    for lane in 0..PANEL * QUAD {
        let outer = g0[lane] + g2[lane];
        transformed[0][lane] = 2 * g0[lane];
        transformed[1][lane] = outer + g1[lane];
        transformed[2][lane] = outer - g1[lane];
        transformed[3][lane] = 2 * g2[lane];
    }
}
