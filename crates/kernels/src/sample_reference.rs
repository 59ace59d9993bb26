//! How a token is drawn, on the CPU: the same definition as `shaders/sample.wgsl`, step for step.
//!
//! Gumbel-max (Gumbel 1954; Maddison et al. 2014): the largest `logit / temperature + g` over the kept tokens, with
//! `g = -ln(-ln u)`, is a draw from their softmax. The noise depends on the seed, the counter and the token alone.
//! Which tokens top-p keeps is decided on integers, so that it does not depend on the order of a sum.

use crate::step::{ALTERNATIVES, Draw, Drawn};

/// Probability masses are integers in units of 2^-24 of the most probable token's. The shader adds their upper and
/// lower 12 bits in two u32 counters each, which cannot overflow below 2^20 tokens.
const MASS_ONE: f32 = 16_777_216.0;

/// top-p is rounded to this many parts of one.
const SHARE_ONE: u32 = 65_536;

/// Draws the next token from `logits`; `counter` is the number of tokens that the sequence drew before.
pub fn draw(logits: &[f32], draw: &Draw, counter: u32) -> Drawn {
    let Some(greedy) = most_probable(logits) else {
        return Drawn { token: 0, log_prob: 0.0, alternatives: Vec::new() };
    };
    let max = logits[greedy];
    let log_sum = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum::<f64>().ln() as f32;
    let log_prob = |token: usize| logits[token] - max - log_sum;
    let token = if draw.temperature > 0.0 {
        let threshold = threshold(logits, max, draw);
        let mut best = (0, 0);
        for (token, &logit) in logits.iter().enumerate() {
            if order(logit) >= threshold {
                let score = order((logit - max) / draw.temperature + gumbel(draw.seed, counter, token as u32));
                if score > best.0 {
                    best = (score, token);
                }
            }
        }
        best.1
    } else {
        greedy
    };
    let mut by_logit: Vec<usize> = (0..logits.len()).collect();
    let descending = |&a: &usize, &b: &usize| order(logits[b]).cmp(&order(logits[a])).then(a.cmp(&b));
    if by_logit.len() > ALTERNATIVES {
        by_logit.select_nth_unstable_by(ALTERNATIVES - 1, descending);
        by_logit.truncate(ALTERNATIVES);
    }
    by_logit.sort_unstable_by(descending);
    Drawn {
        token: token as u32,
        log_prob: log_prob(token),
        alternatives: by_logit.into_iter().map(|token| (token as u32, log_prob(token))).collect(),
    }
}

fn most_probable(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| order(logits[a]).cmp(&order(logits[b])).then(b.cmp(&a)))
}

/// An integer that orders as the float does; -0 counts as 0.
fn order(value: f32) -> u32 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 }
}

/// The order of the least probable token that top-k and top-p keep.
fn threshold(logits: &[f32], max: f32, draw: &Draw) -> u32 {
    let mut orders: Vec<u32> = logits.iter().map(|&logit| order(logit)).collect();
    orders.sort_unstable_by(|a, b| b.cmp(a));
    let top_k = match draw.top_k as usize {
        0 => 0,
        k => orders[k.min(orders.len()) - 1],
    };
    let share = share(draw.top_p);
    if share == SHARE_ONE {
        return top_k;
    }
    let mut kept: Vec<(u32, u64)> = logits
        .iter()
        .filter(|&&logit| order(logit) >= top_k)
        .map(|&logit| (order(logit), mass(logit, max, draw.temperature)))
        .collect();
    kept.sort_unstable_by(|a, b| b.cmp(a));
    let total: u64 = kept.iter().map(|&(_, mass)| mass).sum();
    let wanted = (total * u64::from(share) / u64::from(SHARE_ONE)).max(1);
    let mut reached = 0;
    for (order, mass) in kept {
        reached += mass;
        if reached >= wanted {
            return order;
        }
    }
    top_k
}

pub(crate) fn share(top_p: f32) -> u32 {
    (top_p.clamp(0.0, 1.0) * SHARE_ONE as f32 + 0.5) as u32
}

fn mass(logit: f32, max: f32, temperature: f32) -> u64 {
    (((logit - max) / temperature).exp() * MASS_ONE) as u64
}

/// Standard Gumbel noise. The uniform number is written as 1 - v with v in (0, 1), and v's resolution is finest near 0,
/// where the winners are: 23 bits, at the middle of their cell, so that neither end is reached.
fn gumbel(seed: u32, counter: u32, token: u32) -> f32 {
    let v = ((hash(seed, counter, token) >> 9) as f32 + 0.5) / 8_388_608.0;
    -ln(minus_ln_of_one_minus(v))
}

/// PCG3D (Jarzynski and Olano 2020, "Hash Functions for GPU Rendering"), first component.
fn hash(x: u32, y: u32, z: u32) -> u32 {
    let step = |v: u32| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let (mut x, mut y, mut z) = (step(x), step(y), step(z));
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    x ^= x >> 16;
    y ^= y >> 16;
    z ^= z >> 16;
    x.wrapping_add(y.wrapping_mul(z))
}

/// `-ln(1 - v)`, accurate to a few units in the last place for small v too.
fn minus_ln_of_one_minus(v: f32) -> f32 {
    if v > 0.5 {
        return -ln(1.0 - v);
    }
    let s = v / (2.0 - v);
    2.0 * s * atanh_series(s * s)
}

/// Natural logarithm of a positive normal number. WGSL's own may be off by 2^-21 near 1; this one is the same on every
/// device.
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // The mantissa is brought into [1/sqrt 2, sqrt 2).
    let exponent = ((bits.wrapping_sub(0x3f35_04f3)) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    exponent as f32 * std::f32::consts::LN_2 + 2.0 * s * atanh_series(s * s)
}

/// `atanh(s) / s` by its series in `z = s^2`, for s up to 1/3.
fn atanh_series(z: f32) -> f32 {
    let mut sum = 1.0 / 17.0;
    for denominator in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * z + 1.0 / denominator;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [0.2, 1.7, -1.0, 0.9, 1.7];

    fn frequencies(sampling: &Draw, draws: u32) -> [f64; 5] {
        let mut counts = [0.0; 5];
        for counter in 0..draws {
            counts[draw(&LOGITS, sampling, counter).token as usize] += 1.0 / f64::from(draws);
        }
        counts
    }

    #[test]
    fn draws_follow_the_tempered_softmax() {
        let draws = 40_000;
        for temperature in [0.5f32, 1.0, 2.0] {
            let sampling = Draw { temperature, top_k: 0, top_p: 1.0, seed: 1 };
            let masses = LOGITS.map(|logit| f64::from(logit / temperature).exp());
            let total: f64 = masses.iter().sum();
            for (seen, mass) in frequencies(&sampling, draws).into_iter().zip(masses) {
                let p = mass / total;
                let deviation = (p * (1.0 - p) / f64::from(draws)).sqrt();
                assert!((seen - p).abs() < 4.0 * deviation, "{seen} instead of {p} at temperature {temperature}");
            }
        }
    }

    #[test]
    fn one_seed_one_text_and_another_seed_another() {
        let text = |seed| {
            let sampling = Draw { temperature: 1.0, top_k: 0, top_p: 1.0, seed };
            (0..50).map(|counter| draw(&LOGITS, &sampling, counter).token).collect::<Vec<u32>>()
        };
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }

    #[test]
    fn limits_at_their_ends_keep_one_token_or_all() {
        let drawn = |top_k, top_p| {
            frequencies(&Draw { temperature: 1.0, top_k, top_p, seed: 2 }, 500).map(|frequency| frequency > 0.0)
        };
        // The two most probable tokens tie, and ties stay together.
        assert_eq!(drawn(1, 1.0), [false, true, false, false, true]);
        assert_eq!(drawn(0, 0.0), [false, true, false, false, true]);
        assert_eq!(drawn(100, 1.0), [true; 5]);
        assert_eq!(draw(&LOGITS, &Draw::GREEDY, 0).token, 1);
        assert_eq!(draw(&[], &Draw::GREEDY, 0).token, 0);
    }

    #[test]
    fn logarithms_keep_their_digits() {
        for bits in (0..1 << 23).step_by(997) {
            let v = (bits as f32 + 0.5) / 8_388_608.0;
            let wanted = -(-f64::from(v)).ln_1p();
            let got = f64::from(minus_ln_of_one_minus(v));
            assert!((got - wanted).abs() <= 1e-6 * wanted, "{got} instead of {wanted}");
            assert!(gumbel(bits, 0, 0).is_finite());
        }
    }
}
