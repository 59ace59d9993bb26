//! Where features come in families: what one-shot encoding and matching pursuit find with the true directions.
//!
//! Each of 8 parents has 6 children. An activation has two parents and a child of each; siblings have a cosine in common,
//! and otherwise directions are random, in 256 dimensions. The more alike siblings are, the more of them a one-shot encoder
//! takes for the one that is there; a pursuit takes what it has found from the rest first (Costa et al. 2025, "MP-SAE").

use tiller_sae::{Activation, Normalisation, Sae};

const WIDTH: usize = 256;
const PARENTS: usize = 8;
const CHILDREN: usize = 6;
const FEATURES: usize = PARENTS + PARENTS * CHILDREN;
const ROWS: usize = 2000;
/// Features of an activation.
const ACTIVE: usize = 4;

/// splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A direction of length 1: in so many dimensions sums of uniform numbers are as even as Gaussian ones.
    fn direction(&mut self) -> Vec<f32> {
        unit((0..WIDTH).map(|_| (0..6).map(|_| self.uniform() - 0.5).sum()).collect())
    }
}

fn unit(x: Vec<f32>) -> Vec<f32> {
    let length = x.iter().map(|x| x * x).sum::<f32>().sqrt();
    x.into_iter().map(|x| x / length).collect()
}

/// Parents, then the children of each.
fn family(correlation: f32, random: &mut Random) -> Vec<Vec<f32>> {
    let mut directions: Vec<Vec<f32>> = (0..PARENTS).map(|_| random.direction()).collect();
    for _ in 0..PARENTS {
        let shared = random.direction();
        for _ in 0..CHILDREN {
            let own = random.direction();
            let mixed = shared.iter().zip(&own).map(|(s, o)| correlation.sqrt() * s + (1.0 - correlation).sqrt() * o);
            directions.push(unit(mixed.collect()));
        }
    }
    directions
}

/// The share of the true features that are found, and the fraction of variance unexplained.
fn judged(sae: &Sae, rows: &[(Vec<f32>, Vec<u32>)]) -> (f64, f64) {
    sae.check().unwrap();
    let (mut found, mut error, mut squares) = (0, 0.0, 0.0);
    let mut sums = vec![0f64; WIDTH];
    for (x, truth) in rows {
        let features = sae.encode(x);
        found += truth.iter().filter(|feature| features.iter().any(|(own, _)| own == *feature)).count();
        let written = sae.decode(&features, x);
        for i in 0..WIDTH {
            error += f64::from(x[i] - written[i]).powi(2);
            squares += f64::from(x[i]).powi(2);
            sums[i] += f64::from(x[i]);
        }
    }
    let variance = squares - sums.iter().map(|sum| sum * sum).sum::<f64>() / rows.len() as f64;
    (found as f64 / (rows.len() * ACTIVE) as f64, error / variance)
}

fn sae(directions: &[Vec<f32>], activation: Activation) -> Sae {
    let w_dec: Vec<f32> = directions.iter().flatten().copied().collect();
    let is_tied = matches!(activation, Activation::MatchingPursuit { .. });
    Sae {
        d_in: WIDTH,
        d_sae: FEATURES,
        w_enc: if is_tied { Vec::new() } else { w_dec.clone() },
        b_enc: if is_tied { Vec::new() } else { vec![0.0; FEATURES] },
        w_dec,
        b_dec: vec![0.0; WIDTH],
        apply_b_dec_to_input: true,
        activation,
        normalisation: Normalisation::None,
        transcoder: None,
    }
}

/// One-shot and pursuit, with the true directions.
fn both(correlation: f32) -> [(f64, f64); 2] {
    let mut random = Random(3);
    let directions = family(correlation, &mut random);
    let rows: Vec<(Vec<f32>, Vec<u32>)> = (0..ROWS)
        .map(|_| {
            let first = random.below(PARENTS);
            let second = (first + 1 + random.below(PARENTS - 1)) % PARENTS;
            let (mut x, mut truth) = (vec![0f32; WIDTH], Vec::new());
            for parent in [first, second] {
                let child = PARENTS + parent * CHILDREN + random.below(CHILDREN);
                for (feature, size) in [(parent, 1.0 + random.uniform()), (child, 0.9 + 0.9 * random.uniform())] {
                    x.iter_mut().zip(&directions[feature]).for_each(|(x, d)| *x += size * d);
                    truth.push(feature as u32);
                }
            }
            (x, truth)
        })
        .collect();
    let pursuit = Activation::MatchingPursuit {
        residual_threshold: 0.0,
        max_iterations: ACTIVE,
        stop_on_duplicate_support: false,
    };
    [Activation::TopK { k: ACTIVE }, pursuit].map(|activation| judged(&sae(&directions, activation), &rows))
}

#[test]
fn the_more_alike_siblings_are_the_more_of_them_one_shot_encoding_mistakes_and_a_pursuit_does_not() {
    // Recall of the same experiment in another program.
    for (correlation, one_shot, pursued) in [(0.0, 1.0, 1.0), (0.3, 0.99, 1.0), (0.6, 0.90, 1.0), (0.9, 0.56, 0.98)] {
        let [found, by_pursuit] = both(correlation);
        eprintln!("siblings' cosine {correlation}: one-shot {found:?}, matching pursuit {by_pursuit:?}");
        assert!((found.0 - one_shot).abs() < 0.05, "{correlation}: {found:?}");
        assert!((by_pursuit.0 - pursued).abs() < 0.025, "{correlation}: {by_pursuit:?}");
        assert!(by_pursuit.1 < 0.01, "{correlation}: {by_pursuit:?}");
        if correlation == 0.9 {
            // Worse than writing nothing: siblings are written on top of each other.
            assert!((found.1 - 1.38).abs() < 0.4, "{found:?}");
        }
    }
}
