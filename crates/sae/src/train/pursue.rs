//! Matching pursuit's gradients (Costa et al. 2025, "MP-SAE"): the loss of what is left after some steps, backwards through
//! these steps, with the feature that each of them chose held constant.
//!
//! A step takes from the rest `r` what lies along the chosen direction `w`: `z = w . r`, `r' = r - z w`. With the gradient
//! `g'` by `r'`, that by `w` is `-(z g' + (w . g') r)`, and that by `r` is `g' - (w . g') w`.

use super::backward::{Entry, by_feature};
use super::feature::add;
use super::select::largest;
use super::tiles::{dot, products};
use super::trainer::{Gradients, ROWS_AT_ONCE};
use super::{Trainer, parallel};

/// Of a few activations.
#[derive(Default)]
struct Pursued {
    /// The entry's row counts the vectors.
    entries: Vec<Entry>,
    /// What each step adds to the gradient of its feature's direction, `[.., width]`.
    vectors: Vec<f32>,
    bias: Vec<f32>,
    squared_errors: Vec<f32>,
}

impl Trainer {
    /// `inputs`: activations less the bias, `[n, width]`; `most`: steps for each.
    pub(super) fn pursuit_gradients(&self, inputs: &[f32], most: usize, is_dead: &[bool]) -> Gradients {
        let rows = inputs.len() / self.width;
        let share = 1.0 / rows as f32;
        let found = parallel::map(rows.div_ceil(ROWS_AT_ONCE), |block| {
            let first = block * ROWS_AT_ONCE * self.width;
            let inputs = &inputs[first..(first + ROWS_AT_ONCE * self.width).min(inputs.len())];
            self.pursued(inputs, most, share, is_dead)
        });
        let mut bias = vec![0.0; self.width];
        found.iter().for_each(|block| add(&mut bias, 1.0, &block.bias));
        let (mut entries, mut vectors, mut squared_errors) = (Vec::new(), Vec::new(), Vec::new());
        for block in found {
            let before = (vectors.len() / self.width) as u32;
            entries.extend(block.entries.into_iter().map(|entry| Entry { row: before + entry.row, ..entry }));
            vectors.extend(block.vectors);
            squared_errors.extend(block.squared_errors);
        }
        let (entries, starts) = by_feature(entries.iter(), self.features.len());
        Gradients {
            inputs: Vec::new(),
            errors: vectors,
            auxiliary: Vec::new(),
            entries,
            starts,
            bias,
            squared_errors,
            lowest: None,
        }
    }

    fn pursued(&self, inputs: &[f32], most: usize, share: f32, is_dead: &[bool]) -> Pursued {
        let (width, count) = (self.width, inputs.len() / self.width);
        let direction = |feature: u32| self.features[feature as usize].decoder.values.as_slice();
        let mut rests = inputs.to_vec();
        // By row: the features that were chosen, and how much of them was taken.
        let mut steps: Vec<Vec<(u32, f32)>> = vec![Vec::new(); count];
        for _ in 0..most {
            let along = products(&rests, width, &self.features);
            let mut any = false;
            for (row, along) in along.chunks_exact(self.features.len()).enumerate() {
                // Of equal ones the first, as encoding has it.
                let best =
                    along.iter().zip(0u32..).fold((0.0, 0), |best, (&h, i)| if h > best.0 { (h, i) } else { best });
                if let (value, feature) = best
                    && value > 0.0
                {
                    add(&mut rests[row * width..(row + 1) * width], -value, direction(feature));
                    steps[row].push((feature, value));
                    any = true;
                }
            }
            if !any {
                break;
            }
        }

        let mut found = Pursued { bias: vec![0.0; width], ..Pursued::default() };
        if let Some(auxiliary) = self.options.auxiliary.filter(|_| is_dead.contains(&true)) {
            let mut along = products(&rests, width, &self.features);
            for (row, along) in along.chunks_exact_mut(self.features.len()).enumerate() {
                along.iter_mut().zip(is_dead).filter(|(_, dead)| !**dead).for_each(|(h, _)| *h = 0.0);
                // Nothing is left along what was chosen.
                steps[row].iter().for_each(|&(chosen, _)| along[chosen as usize] = 0.0);
                let rest = &rests[row * width..(row + 1) * width];
                let dead = largest(along, auxiliary.k);
                // What dead features make of the rest, less the rest, which is held constant.
                let mut error: Vec<f32> = rest.iter().map(|x| -x).collect();
                dead.iter().for_each(|dead| add(&mut error, dead.hidden, direction(dead.feature)));
                error.iter_mut().for_each(|x| *x *= 2.0 * share * auxiliary.weight);
                for dead in dead {
                    let mut vector: Vec<f32> = error.iter().map(|e| dead.hidden * e).collect();
                    add(&mut vector, dot(&error, direction(dead.feature)), rest);
                    found.push(dead.feature, false, vector);
                }
            }
        }
        for (rest, steps) in rests.chunks_exact_mut(width).zip(&steps) {
            found.squared_errors.push(dot(rest, rest));
            let mut gradient: Vec<f32> = rest.iter().map(|r| 2.0 * share * r).collect();
            for (place, &(feature, value)) in steps.iter().enumerate().rev() {
                let w = direction(feature);
                add(rest, value, w);
                let along = dot(w, &gradient);
                let mut vector: Vec<f32> = gradient.iter().map(|g| -value * g).collect();
                add(&mut vector, -along, rest);
                // A feature that was chosen twice is one that is active.
                let is_first = steps[..place].iter().all(|&(earlier, _)| earlier != feature);
                found.push(feature, is_first, vector);
                add(&mut gradient, -along, w);
            }
            // The first rest is the activation less the bias.
            add(&mut found.bias, -1.0, &gradient);
        }
        found
    }
}

impl Pursued {
    fn push(&mut self, feature: u32, active: bool, vector: Vec<f32>) {
        let row = (self.vectors.len() / vector.len()) as u32;
        self.vectors.extend(vector);
        let (value, by_hidden, by_ln_threshold) = (1.0, 0.0, 0.0);
        self.entries.push(Entry { feature, row, auxiliary: false, active, value, by_hidden, by_ln_threshold });
    }
}
