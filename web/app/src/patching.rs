//! What patching has found, and how it is drawn and saved.

mod bars;
mod examples;
mod map;
mod table;

pub use bars::{bars_figure, largest};
pub use examples::EXAMPLES;
pub use map::{Map, MapCell, map_figure, percent};
pub use table::csv;

use serde::Serialize;
use tiller_protocol::{AblatedLayer, Attribution, Baseline, PatchCell, PatchPrompts, PatchStep};
use tiller_recipe::Patching;

/// What has come so far, and what was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    pub of: Patching,
    /// Empty until they are known.
    pub prompts: PatchPrompts,
    pub baseline: Option<Baseline>,
    pub cells: Vec<PatchCell>,
    pub attribution: Option<Attribution>,
    /// The logit difference of the whole model, and the neutral text's perplexity, to which ablations are compared.
    pub whole: Option<(f64, Option<f64>)>,
    pub ablated: Vec<AblatedLayer>,
    /// The logit differences of prompts that the model does not tell apart.
    pub too_alike: Option<(f64, f64)>,
}

impl Findings {
    pub fn of(patching: Patching) -> Findings {
        Findings { of: patching, ..Findings::default() }
    }

    pub fn take(&mut self, step: PatchStep) {
        match step {
            // A job that begins again, after a lost GPU, begins with the prompts.
            PatchStep::Prompts(prompts) => *self = Findings { prompts, ..Findings::of(self.of.clone()) },
            PatchStep::Baseline(baseline) => self.baseline = Some(baseline),
            PatchStep::TooAlike { clean, corrupt } => self.too_alike = Some((clean, corrupt)),
            PatchStep::Cells(cells) => self.cells.extend(cells),
            PatchStep::Attribution(attribution) => self.attribution = Some(attribution),
            PatchStep::Whole { difference, perplexity } => self.whole = Some((difference, perplexity)),
            PatchStep::Ablated(layer) => self.ablated.push(layer),
        }
    }

    /// What the map shows, where there is one.
    pub fn map(&self) -> Option<Map> {
        Map::of(self)
    }
}

/// The largest size of a control's effect.
pub fn band(controls: impl IntoIterator<Item = f64>) -> f64 {
    controls.into_iter().fold(0.0, |band, control| control.abs().max(band))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tiller_protocol::{AttributionShare, Effect, PromptToken};

    /// Two layers, three tokens of which the second differs; one cell beyond its controls, and one within.
    pub fn patched() -> Findings {
        let token = |text: &str| PromptToken { id: 1, text: text.into() };
        let mut found = Findings::of(Patching::default());
        found.take(PatchStep::Prompts(PatchPrompts {
            clean: vec![token("The"), token(" <b>"), token(" is")],
            corrupt: vec![token("The"), token(" \"x\""), token(" is")],
            layers: 2,
            heads: 2,
        }));
        found.take(PatchStep::Baseline(Baseline { clean: 6.0, corrupt: -4.0, first_difference: 1, columns: 3 }));
        let cell = |layer, column, effect: f64| PatchCell {
            layer,
            column,
            difference: -4.0 + 10.0 * effect,
            effect,
            controls: vec![0.05, -0.1],
        };
        found.take(PatchStep::Cells(vec![cell(0, 1, 0.9), cell(0, 2, 0.04), cell(1, 1, -0.3)]));
        found
    }

    pub fn ablated() -> Findings {
        let mut found = patched();
        found.cells.clear();
        found.baseline = None;
        let effect = |difference| Effect { difference, perplexity: Some(1.5) };
        found.take(PatchStep::Whole { difference: 6.0, perplexity: Some(20.0) });
        found.take(PatchStep::Ablated(AblatedLayer {
            layer: 1,
            heads: vec![effect(-3.0), effect(0.2)],
            head_controls: vec![effect(-0.5)],
            mlp: effect(-1.0),
            mlp_controls: vec![effect(2.0)],
        }));
        found
    }

    pub fn attributed() -> Findings {
        let mut found = patched();
        let share = |part: &str, head, value| AttributionShare { part: part.into(), head, value };
        let shares =
            vec![share("embedding", None, 0.5), share("head 1.0", Some((1, 0)), -2.0), share("MLP 1", None, 7.5)];
        found.take(PatchStep::Attribution(Attribution { difference: 6.0, shares }));
        found
    }

    #[test]
    fn a_job_that_begins_again_forgets_what_it_had_found() {
        let mut found = patched();
        found.take(PatchStep::Prompts(found.prompts.clone()));
        assert!(found.cells.is_empty() && found.baseline.is_none());
        assert_eq!(found.prompts.clean.len(), 3);
    }
}
