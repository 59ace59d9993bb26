//! Operations that work number by number.

use crate::act::Act;
use crate::kernel::Kernel;
use crate::recorder::{Recorded, Recorder, by_element, over_picks};

/// The nonlinearity of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x / (1 + exp(-x))` (Elfwing et al. 2017).
    Silu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))` (Hendrycks and Gimpel 2016), as GPT-2 and Gemma have it.
    GeluTanh,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    GeluErf,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    /// Its number in `shaders/activations.wgsl`.
    fn number(self) -> u32 {
        match self {
            Activation::Silu => 0,
            Activation::GeluTanh => 1,
            Activation::GeluErf => 2,
            Activation::Relu => 3,
        }
    }
}

impl Recorder {
    /// `activation(gate) * up`, where each row of `gate_up` is gate and up side by side: half the width comes out
    /// (Shazeer 2020).
    pub fn gated(&mut self, gate_up: &Act, activation: Activation) -> Act {
        self.expect(gate_up.width().is_multiple_of(2), || format!("gate and up in an odd width {}", gate_up.width()));
        let y = self.act(gate_up.over, gate_up.width() / 2);
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Gated],
            dims: vec![y.width(), gate_up.stride(), y.stride(), over_picks(&y), activation.number()],
            bound: vec![self.bind(gate_up), self.bind(&y)],
            grid: by_element(&y),
        });
        y
    }

    /// `activation(x)`.
    pub fn activate(&mut self, x: &Act, activation: Activation) -> Act {
        let y = self.act(x.over, x.width());
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Activate],
            dims: vec![x.width(), x.stride(), over_picks(x), activation.number()],
            bound: vec![self.bind(x), self.bind(&y)],
            grid: by_element(x),
        });
        y
    }

    /// `cap * tanh(x / cap)`, in place; `cap` is positive.
    pub fn soft_cap(&mut self, x: Act, cap: f32) -> Act {
        self.expect(cap > 0.0, || format!("a cap of {cap}"));
        self.recorded.push(Recorded {
            kernels: vec![Kernel::SoftCap],
            dims: vec![x.width(), x.stride(), over_picks(&x), cap.to_bits()],
            bound: vec![self.bind(&x)],
            grid: by_element(&x),
        });
        x
    }

    /// `into + a`, in place.
    pub fn add(&mut self, a: &Act, into: Act) -> Act {
        self.expect(a.over == into.over && a.width() == into.width(), || {
            format!("width {} added to width {}", a.width(), into.width())
        });
        self.recorded.push(Recorded {
            kernels: vec![Kernel::Add],
            dims: vec![into.width(), into.stride(), over_picks(&into)],
            bound: vec![self.bind(a), self.bind(&into)],
            grid: by_element(&into),
        });
        into
    }
}
