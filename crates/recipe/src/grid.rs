//! What a search over layers and strengths tries, where nothing else is asked for.

/// In multiples of the residual stream's typical norm.
pub const GRID_STRENGTHS: [f32; 5] = [0.05, 0.1, 0.15, 0.2, 0.3];

/// The most that a chosen cell may add to the perplexity of a neutral text: a fifth.
pub const GRID_MOST_COST: f64 = 0.2;

/// Layers that are tried, of however many there are.
const LAYERS: u32 = 6;

/// Layers spread evenly over a model with `blocks` blocks, both ends left out: a vector after the last block only
/// changes the next word, and before the first there is little to steer.
pub fn grid_layers(blocks: u32) -> Vec<u32> {
    let mut layers: Vec<u32> = (1..=LAYERS).map(|n| blocks * n / (LAYERS + 1)).collect();
    layers.dedup();
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_lie_inside_the_model_each_once() {
        assert_eq!(grid_layers(30), [4, 8, 12, 17, 21, 25]);
        assert_eq!(grid_layers(4), [0, 1, 2, 3]);
        assert_eq!(grid_layers(1), [0]);
    }
}
