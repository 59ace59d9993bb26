//! Which features are active.

use super::Method;

/// A feature at one activation: its number, its pre-activation, and whether it is active or merely near its threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub feature: u32,
    pub hidden: f32,
    pub active: bool,
}

/// The candidates of one activation, by their pre-activations. For BatchTopK all that are above 0: [`across`] decides.
pub(super) fn candidates(method: Method, hidden: &[f32], threshold: impl Fn(usize) -> f32) -> Vec<Candidate> {
    let active = |(feature, &hidden): (usize, &f32)| Candidate { feature: feature as u32, hidden, active: true };
    match method {
        Method::TopK { k } | Method::MatchingPursuit { k } => largest(hidden, k),
        Method::BatchTopK { .. } | Method::Standard { .. } => {
            hidden.iter().enumerate().filter(|(_, h)| **h > 0.0).map(active).collect()
        }
        Method::JumpRelu { bandwidth, .. } => {
            let near = |(feature, &hidden): (usize, &f32)| {
                let threshold = threshold(feature);
                let active = hidden > threshold;
                let candidate = Candidate { feature: feature as u32, hidden, active };
                (active || (hidden - threshold).abs() < bandwidth / 2.0).then_some(candidate)
            };
            hidden.iter().enumerate().filter_map(near).collect()
        }
    }
}

/// The `k` largest that are above 0.
pub(super) fn largest(hidden: &[f32], k: usize) -> Vec<Candidate> {
    let mut positive: Vec<(u32, u32)> = hidden
        .iter()
        .zip(0..)
        .filter(|(h, _)| **h > 0.0)
        // The bits of numbers above 0 are in their order.
        .map(|(h, feature)| (h.to_bits(), feature))
        .collect();
    if k < positive.len() {
        positive.select_nth_unstable_by_key(k, |&(bits, feature)| (!bits, feature));
        positive.truncate(k);
    }
    let candidate = |(bits, feature)| Candidate { feature, hidden: f32::from_bits(bits), active: true };
    positive.into_iter().map(candidate).collect()
}

/// Keeps the `k n` largest of a batch of `n` activations. Returns the smallest that is kept.
pub(super) fn across(batch: &mut [Vec<Candidate>], k: usize) -> Option<f32> {
    let mut bits: Vec<u32> = batch.iter().flatten().map(|candidate| candidate.hidden.to_bits()).collect();
    let kept = k * batch.len();
    if bits.len() <= kept {
        return bits.into_iter().min().map(f32::from_bits);
    }
    let (_, last, _) = bits.select_nth_unstable_by_key(kept - 1, |bits| !bits);
    let last = f32::from_bits(*last);
    batch.iter_mut().for_each(|row| row.retain(|candidate| candidate.hidden >= last));
    Some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_and_nothing_below_zero() {
        let hidden = [0.5, -3.0, 2.0, 0.0, 1.0];
        let features = |k| {
            let mut features: Vec<u32> = largest(&hidden, k).iter().map(|candidate| candidate.feature).collect();
            features.sort_unstable();
            features
        };
        assert_eq!(features(2), [2, 4]);
        assert_eq!(features(5), [0, 2, 4]);
    }

    #[test]
    fn a_batch_shares_its_places() {
        let row = |hidden: &[f32]| candidates(Method::BatchTopK { k: 2 }, hidden, |_| 0.0);
        let mut batch = vec![row(&[5.0, 4.0, 3.0, -1.0]), row(&[1.0, 2.0, 0.5, 0.1])];
        assert_eq!(across(&mut batch, 2), Some(2.0));
        assert_eq!(batch.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    }
}
