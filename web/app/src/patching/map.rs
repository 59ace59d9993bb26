//! Effects by layer and position, or by layer and head.

use super::{Findings, band};
use crate::lens::visible;
use crate::svg::{INK, LINE, SOFT, document, text};
use tiller_protocol::{AblatedLayer, Effect};
use tiller_recipe::PatchQuestion;
use tiller_sites::PatchDirection;

/// A row for each layer, the last first.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Over the columns: tokens, or heads and the MLP.
    pub heads: Vec<String>,
    pub rows: Vec<(u32, Vec<Option<MapCell>>)>,
    /// Whether columns are heads.
    pub by_head: bool,
    /// Columns before this one have nothing to patch.
    pub first: usize,
    /// The effect that is drawn in full colour.
    pub full: f64,
    /// Whether effects are shares, or else logits.
    is_share: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MapCell {
    /// Of patching a share; of ablation in logits.
    pub effect: f64,
    pub controls: Vec<f64>,
    /// The logit difference that is left.
    pub difference: f64,
    /// The factor of the neutral text's perplexity, where it was measured.
    pub perplexity: Option<f64>,
}

impl MapCell {
    pub fn band(&self) -> f64 {
        band(self.controls.iter().copied())
    }

    /// Whether the effect is no larger than a control's.
    pub fn is_within_controls(&self) -> bool {
        self.effect.abs() <= self.band()
    }
}

impl Map {
    pub(super) fn of(found: &Findings) -> Option<Map> {
        match found.of.question {
            PatchQuestion::Patching => patched(found),
            PatchQuestion::Ablation => ablated(found),
            PatchQuestion::Attribution => None,
        }
    }

    /// How much of its colour a cell has, from -1 (red) to 1 (blue).
    pub fn shade(&self, cell: &MapCell) -> f64 {
        (cell.effect / self.full).clamp(-1.0, 1.0)
    }

    /// A cell's effect in the words of the numbers that were measured.
    pub fn effect_text(&self, cell: &MapCell) -> String {
        if self.is_share { percent(cell.effect) } else { format!("{:+.2}", cell.effect) }
    }
}

/// A share with its sign: `+98 %`, `−6 %`, `0 %`.
pub fn percent(share: f64) -> String {
    match (100.0 * share).round() {
        0.0 => "0 %".into(),
        percent if percent < 0.0 => format!("−{:.0} %", -percent),
        percent => format!("+{percent:.0} %"),
    }
}

fn patched(found: &Findings) -> Option<Map> {
    let baseline = found.baseline?;
    let by_head = found.of.place.is_by_head();
    let columns = baseline.columns as usize;
    let heads = match by_head {
        true => (0..columns).map(|head| format!("head {head}")).collect(),
        false => pairs_of(found),
    };
    let mut rows: Vec<_> = (0..found.prompts.layers).rev().map(|layer| (layer, vec![None; columns])).collect();
    for cell in &found.cells {
        let row = (found.prompts.layers.checked_sub(cell.layer + 1)).and_then(|row| rows.get_mut(row as usize));
        if let Some(at) = row.and_then(|(_, cells)| cells.get_mut(cell.column as usize)) {
            *at = Some(MapCell {
                effect: cell.effect,
                controls: cell.controls.clone(),
                difference: cell.difference,
                perplexity: None,
            });
        }
    }
    let first = if by_head { 0 } else { baseline.first_difference as usize };
    Some(Map { heads, rows, by_head, first, full: 1.0, is_share: true })
}

/// The clean prompt's tokens, with the corrupt one's where they differ.
fn pairs_of(found: &Findings) -> Vec<String> {
    let pairs = found.prompts.clean.iter().zip(&found.prompts.corrupt);
    let shown = pairs.map(|(clean, corrupt)| match clean.id == corrupt.id && clean.text == corrupt.text {
        true => visible(&clean.text),
        false => format!("{} / {}", visible(&clean.text), visible(&corrupt.text)),
    });
    shown.collect()
}

fn ablated(found: &Findings) -> Option<Map> {
    let (whole, _) = found.whole?;
    let heads = found.prompts.heads as usize;
    let cell = |effect: &Effect, controls: &[Effect]| MapCell {
        effect: effect.difference,
        controls: controls.iter().map(|control| control.difference).collect(),
        difference: whole + effect.difference,
        perplexity: effect.perplexity,
    };
    let row = |layer: &AblatedLayer| {
        let of_heads = layer.heads.iter().map(|effect| Some(cell(effect, &layer.head_controls)));
        of_heads.chain([Some(cell(&layer.mlp, &layer.mlp_controls))]).collect()
    };
    let rows = (0..found.prompts.layers).rev().map(|layer| {
        let known = found.ablated.iter().find(|ablated| ablated.layer == layer);
        (layer, known.map_or_else(|| vec![None; heads + 1], row))
    });
    Some(Map {
        heads: (0..heads).map(|head| format!("head {head}")).chain(["MLP".into()]).collect(),
        rows: rows.collect(),
        by_head: true,
        first: 0,
        // Red: the answer loses what it led by.
        full: whole.abs().max(1e-6),
        is_share: false,
    })
}

const CELL: (f64, f64) = (46.0, 18.0);
const NAMES: f64 = 66.0;
const HEAD: f64 = 118.0;
const MARGIN: f64 = 16.0;
const BLUE: &str = "#2b62c4";
const RED: &str = "#c2452d";

/// The map as a picture: blue toward the clean prompt's answer, red away from it, a frame alone where the effect is no
/// larger than a control's.
pub fn map_figure(found: &Findings) -> String {
    let Some(map) = found.map() else { return document(320.0, 60.0, "Nothing was found", "") };
    let (width, height) = CELL;
    let asked = &found.of;
    let what = match (asked.question, asked.direction) {
        (PatchQuestion::Ablation, _) => "Change of the logit difference without each part".to_string(),
        (_, PatchDirection::Denoise) => format!("{} of the clean run put into the corrupt one", asked.place),
        (_, PatchDirection::Noise) => format!("{} of the corrupt run put into the clean one", asked.place),
    };
    let answers = format!("{} against {}", visible(&asked.answer), visible(&asked.wrong));
    let mut content = text(MARGIN, MARGIN + 12.0, 13.0, INK, "start", &format!("{what}: {answers}"));
    content += &text(
        MARGIN,
        MARGIN + 30.0,
        11.0,
        SOFT,
        "start",
        "Blue: toward the answer. Red: away from it. No colour: within its controls.",
    );
    let left = |column: usize| MARGIN + NAMES + column as f64 * width;
    let top = |row: usize| HEAD + row as f64 * height;
    for (column, head) in map.heads.iter().enumerate() {
        let (x, y) = (left(column) + width / 2.0, HEAD - 6.0);
        let label = text(0.0, 0.0, 10.0, SOFT, "start", head);
        content += &format!("<g transform=\"translate({x:.1} {y:.1}) rotate(-35)\">{label}</g>");
    }
    for (row, (layer, cells)) in map.rows.iter().enumerate() {
        content += &text(MARGIN + NAMES - 8.0, top(row) + 13.0, 11.0, SOFT, "end", &format!("block {layer}"));
        for (column, cell) in cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let (x, y) = (left(column), top(row));
            let shade = if cell.is_within_controls() { 0.0 } else { map.shade(cell) };
            let colour = if shade < 0.0 { RED } else { BLUE };
            content += &format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\" fill-opacity=\"{:.3}\" stroke=\"{LINE}\"/>",
                0.85 * shade.abs()
            );
            let ink = if shade.abs() > 0.55 { "#fff" } else { INK };
            content += &text(x + width / 2.0, y + 13.0, 9.5, ink, "middle", &map.effect_text(cell));
        }
    }
    let size = (left(map.heads.len()).max(640.0) + 80.0, top(map.rows.len()) + MARGIN);
    document(size.0, size.1, &what, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patching::tests::{ablated, attributed, patched};

    #[test]
    fn the_last_layer_is_on_top_and_cells_within_their_controls_are_known() {
        let map = patched().map().unwrap();
        assert_eq!(map.heads, ["The", "␣<b> / ␣\"x\"", "␣is"]);
        assert_eq!((map.first, map.rows[0].0, map.rows.len()), (1, 1, 2));
        let within: Vec<Option<bool>> =
            map.rows[1].1.iter().map(|cell| cell.as_ref().map(MapCell::is_within_controls)).collect();
        assert_eq!(within, [None, Some(false), Some(true)]);
        assert_eq!(map.effect_text(map.rows[1].1[1].as_ref().unwrap()), "+90 %");
        assert_eq!([percent(-0.004), percent(-0.06), percent(1.0)], ["0 %", "−6 %", "+100 %"]);
        assert!(attributed().map().is_some_and(|map| !map.by_head));
    }

    #[test]
    fn ablations_are_measured_against_the_whole_models_lead() {
        let mut found = ablated();
        found.of.question = PatchQuestion::Ablation;
        let map = found.map().unwrap();
        assert_eq!(map.heads, ["head 0", "head 1", "MLP"]);
        let cells: Vec<&MapCell> = map.rows[0].1.iter().flatten().collect();
        assert_eq!([map.shade(cells[0]), cells[0].difference], [-0.5, 3.0]);
        assert_eq!([0, 1, 2].map(|n| cells[n].is_within_controls()), [false, true, true]);
        assert!(map.rows[1].1.iter().all(Option::is_none), "layer 0 has not come");
    }

    #[test]
    fn the_picture_has_a_cell_for_each_that_was_found_and_no_markup_of_tokens() {
        let figure = map_figure(&patched());
        assert_eq!(figure.matches("stroke=").count(), 3);
        assert!(figure.contains("␣&lt;b&gt; / ␣&quot;x&quot;") && !figure.contains("<b>"), "{figure}");
        assert!(figure.contains("fill-opacity=\"0.765\"") && figure.contains("fill-opacity=\"0.000\""));
        assert!(figure.contains(RED) && figure.contains("fill-opacity=\"0.255\""));
    }
}
