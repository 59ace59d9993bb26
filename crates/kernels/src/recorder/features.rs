//! Features of activations: encoding, the strongest of them, and edits by them.

use std::ops::Range;

use super::{Bound, Recorded, Recorder, TapId, When, along, by_element, over_picks};
use crate::act::{Act, Over};
use crate::encoder::{Encoder, FeatureActivation, FeatureChanges, Normalised};
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::plan::Tapped;

/// The most features of a row that come back; `found` of `shaders/strongest_features.wgsl` holds as many.
pub const MOST_STRONGEST: u32 = 64;

/// Numbers of features are read back as floats, which tell them apart up to here.
const MOST_FEATURES: u32 = 1 << 24;

impl Recorder {
    /// The features of `columns` of each row of x, as it is at this point: `[rows, features]`.
    pub fn encode(&mut self, x: &Act, columns: Range<u32>, encoder: &Encoder) -> Act {
        self.expect(columns.len() as u32 == encoder.weights.cols(), || {
            format!("{} columns given to an encoder of {}", columns.len(), encoder.weights.cols())
        });
        let as_it_is = !encoder.centred
            && encoder.normalised == Normalised::Not
            && encoder.subtracted.is_none()
            && columns == (0..x.width());
        let weights = std::slice::from_ref(&encoder.weights);
        let features = match as_it_is {
            true => self.linear(x, weights, Some(&encoder.bias), None),
            false => {
                let input = self.feature_input(x, columns, encoder);
                self.linear(&input, weights, Some(&encoder.bias), None)
            }
        };
        self.activate_features(features, &encoder.activation)
    }

    /// What the rows of an encoder's weights read: `[rows, columns]`.
    fn feature_input(&mut self, x: &Act, columns: Range<u32>, encoder: &Encoder) -> Act {
        self.expect_columns(x, &columns);
        let width = columns.len() as u32;
        if let Some(subtracted) = &encoder.subtracted {
            self.expect(subtracted.len() == columns.len(), || {
                format!("{} numbers taken off {width} columns", subtracted.len())
            });
        }
        self.expect(width > 1 || encoder.normalised == Normalised::Not, || {
            "one number has no standard deviation".to_owned()
        });
        let y = self.act(x.over, width);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::FeatureInput],
            dims: vec![
                width,
                x.stride(),
                y.stride(),
                over_picks(x),
                columns.start,
                u32::from(encoder.centred),
                encoder.normalised.number(),
                u32::from(encoder.subtracted.is_some()),
            ],
            bound: vec![self.bind(x), Bound::optional(encoder.subtracted.as_ref()), self.bind(&y)],
            grid: Grid { across: 1, along: along(x) },
        });
        y
    }

    /// Features of pre-activations `[rows, features]`, in place.
    pub fn activate_features(&mut self, h: Act, activation: &FeatureActivation) -> Act {
        let width = h.width() as usize;
        let (kind, numbers) = match activation {
            FeatureActivation::TopK { k } => return self.keep_largest(h, *k),
            FeatureActivation::Relu => (0, None),
            FeatureActivation::JumpRelu { threshold } => (1, Some((threshold, width))),
            FeatureActivation::Gated { magnitudes } => (2, Some((magnitudes, 3 * width))),
        };
        if let Some((numbers, expected)) = numbers {
            self.expect(numbers.len() == expected, || format!("{} numbers for {width} features", numbers.len()));
        }
        self.recorded.push(Recorded {
            kernels: vec![Kernel::ActivateFeatures],
            dims: vec![h.width(), h.stride(), over_picks(&h), kind],
            bound: vec![Bound::optional(numbers.map(|(numbers, _)| numbers)), self.bind(&h)],
            grid: by_element(&h),
        });
        h
    }

    /// The k largest numbers of each row that are above 0, of equal ones the first; 0 elsewhere. In place.
    pub fn keep_largest(&mut self, h: Act, k: u32) -> Act {
        self.expect((1..=h.width()).contains(&k), || format!("the {k} largest of {}", h.width()));
        self.recorded.push(Recorded {
            kernels: vec![Kernel::KeepLargest],
            dims: vec![h.width(), h.stride(), over_picks(&h), k, bits_of(h.width())],
            bound: vec![self.bind(&h)],
            grid: Grid { across: 1, along: along(&h) },
        });
        h
    }

    /// The `most` strongest features of each row that are above 0, for the host to read, `[rows, most, 2]`: number (as a
    /// float) and value, descending, of equal ones the first; pairs of zeros at the end.
    pub fn strongest_features(&mut self, features: &Act, most: u32) -> TapId {
        self.expect((1..=MOST_STRONGEST).contains(&most) && features.width() < MOST_FEATURES, || {
            format!("the {most} strongest of {} features", features.width())
        });
        let width = 2 * most;
        if let Some(memory) = self.memory("features", u64::from(self.capacity(features.over)) * u64::from(width) * 4) {
            self.recorded.push(Recorded {
                kernels: vec![Kernel::StrongestFeatures],
                dims: vec![features.width(), features.stride(), over_picks(features), most, bits_of(features.width())],
                bound: vec![self.bind(features), Bound::Memory(memory.clone())],
                grid: Grid { across: 1, along: along(features) },
            });
            self.taps.push(Tapped { memory, width, over_picks: features.over == Over::Picks });
        }
        TapId(self.taps.len().saturating_sub(1))
    }

    /// `x + c u sum_k (g_k(f_k) - f_k) d_k`, in place: f the features that `encoder` finds in x's `columns` as it
    /// was, g what `changes` make of them, d their directions, and u what x was divided by when it was normalised.
    pub fn edit_features(
        &mut self,
        x: Act,
        columns: Range<u32>,
        features: &Act,
        changes: &FeatureChanges,
        encoder: &Encoder,
        when: When,
    ) -> Act {
        self.expect(changes.width == columns.len(), || {
            format!("directions of {} numbers for {} columns", changes.width, columns.len())
        });
        self.expect(changes.largest < features.width() && features.over == x.over, || {
            format!("feature {} changed of {}", changes.largest, features.width())
        });
        let (mut dims, mut bound) = self.edit(&x, &columns, when);
        dims.extend([changes.count, features.stride(), u32::from(encoder.centred), encoder.normalised.number()]);
        bound.extend([
            self.bind(features),
            Bound::Memory(changes.listed.memory()),
            Bound::Memory(changes.directions.memory()),
        ]);
        let grid = Grid { across: 1, along: along(&x) };
        self.recorded.push(Recorded { kernels: vec![Kernel::EditFeatures], dims, bound, grid });
        x
    }
}

/// Bits of the numbers below `count`, and of `count` itself.
fn bits_of(count: u32) -> u32 {
    u32::BITS - count.leading_zeros()
}
