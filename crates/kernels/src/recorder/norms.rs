//! Normalisation of rows, whole or in its parts: `norm(x)` is `affine_columns(divide_by_scale(x, norm_scale(x)))`.

use crate::act::Act;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::recorder::{Bound, Recorded, Recorder, along, by_element, over_picks};
use crate::vector::Vector;

/// What a row is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps)` (Zhang and Sennrich 2019).
    Rms,
    /// `(x - mean(x)) / sqrt(var(x) + eps)`, the variance biased (Ba et al. 2016).
    Layer,
}

/// A norm with its gain, and a bias where it has one; both `[width]`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    pub kind: NormKind,
    pub gain: &'a Vector,
    pub bias: Option<&'a Vector>,
    pub epsilon: f32,
}

/// An RMS norm: gain, epsilon.
impl<'a> From<(&'a Vector, f32)> for Norm<'a> {
    fn from((gain, epsilon): (&'a Vector, f32)) -> Norm<'a> {
        Norm { kind: NormKind::Rms, gain, bias: None, epsilon }
    }
}

impl Recorder {
    /// The norm of each row.
    pub fn norm(&mut self, x: &Act, norm: Norm) -> Act {
        let y = self.act(x.over, x.width());
        self.normalise(x, norm, &y, false);
        y
    }

    /// `into + norm(a)`, in place: Gemma's norms of what a layer adds to the residual stream.
    pub fn add_normed(&mut self, a: &Act, norm: Norm, into: Act) -> Act {
        self.expect(a.over == into.over && a.width() == into.width(), || {
            format!("width {} added to width {}", a.width(), into.width())
        });
        self.normalise(a, norm, &into, true);
        into
    }

    fn normalise(&mut self, x: &Act, norm: Norm, y: &Act, add: bool) {
        self.expect_norm(norm, x);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Norm],
            dims: vec![
                x.width(),
                x.stride(),
                over_picks(x),
                u32::from(norm.kind == NormKind::Layer),
                u32::from(norm.bias.is_some()),
                u32::from(add),
                norm.epsilon.to_bits(),
            ],
            bound: vec![self.bind(x), Bound::Memory(norm.gain.memory()), Bound::optional(norm.bias), self.bind(y)],
            grid: Grid { across: 1, along: along(x) },
        });
    }

    /// What each row of x is divided by, `[rows or picks, 1]`: `sqrt(mean(x^2) + eps)`, or `sqrt(var(x) + eps)`.
    pub fn norm_scale(&mut self, x: &Act, kind: NormKind, epsilon: f32) -> Act {
        let y = self.act(x.over, 1);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::NormScale],
            dims: vec![
                x.width(),
                x.stride(),
                y.stride(),
                over_picks(x),
                u32::from(kind == NormKind::Layer),
                epsilon.to_bits(),
            ],
            bound: vec![self.bind(x), self.bind(&y)],
            grid: Grid { across: 1, along: along(x) },
        });
        y
    }

    /// `x / scale`, or `(x - mean(x)) / scale`, where `scale` is `[rows or picks, 1]`.
    pub fn divide_by_scale(&mut self, x: &Act, scale: &Act, kind: NormKind) -> Act {
        self.expect(scale.over == x.over && scale.width() == 1, || {
            format!("a scale of width {} for width {}", scale.width(), x.width())
        });
        let y = self.act(x.over, x.width());
        self.recorded.push(Recorded {
            kernels: vec![Kernel::DivideByScale],
            dims: vec![x.width(), x.stride(), scale.stride(), over_picks(x), u32::from(kind == NormKind::Layer)],
            bound: vec![self.bind(x), self.bind(scale), self.bind(&y)],
            grid: Grid { across: 1, along: along(x) },
        });
        y
    }

    /// `x[c] * gain[c] (+ bias[c])` of each row, in place.
    pub fn affine_columns(&mut self, x: Act, gain: &Vector, bias: Option<&Vector>) -> Act {
        let fits = |vector: &Vector| vector.len() == x.width() as usize;
        self.expect(fits(gain) && bias.is_none_or(fits), || {
            let biases = bias.map_or(0, Vector::len);
            format!("{} gains and {biases} biases for width {}", gain.len(), x.width())
        });
        self.recorded.push(Recorded {
            kernels: vec![Kernel::AffineColumns],
            dims: vec![x.width(), x.stride(), over_picks(&x), u32::from(bias.is_some())],
            bound: vec![Bound::Memory(gain.memory()), Bound::optional(bias), self.bind(&x)],
            grid: by_element(&x),
        });
        x
    }

    /// The norm's vectors have x's width.
    pub(super) fn expect_norm(&mut self, norm: Norm, x: &Act) {
        let fits = |vector: &Vector| vector.len() == x.width() as usize;
        self.expect(fits(norm.gain) && norm.bias.is_none_or(fits), || {
            format!("a norm of {} on width {}", norm.gain.len(), x.width())
        });
    }
}
