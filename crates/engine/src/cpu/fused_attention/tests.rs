use super::*;
use tiller_model::LayerAttention;

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(step).collect()
}

fn geometry(heads: usize, kv_heads: usize, head_dim: usize) -> Geometry {
    Geometry {
        heads,
        kv_heads,
        head_dim,
        scale: 2.0,
        soft_cap: None,
        rotations: Vec::new(),
        layers: vec![LayerAttention { window: None, rope: None }],
    }
}

/// Positions of a text, and its place in a cache of `text` rows before it.
fn rows(positions: &[u32], kv_start: u32) -> Vec<Row> {
    positions.iter().map(|&position| Row { token: 0, position, kv_start, edits: 0 }).collect()
}

struct Given {
    qkv: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

fn given(rows: &[Row], cache_rows: usize, geometry: &Geometry) -> Given {
    let qkv_width = geometry.heads * geometry.head_dim + 2 * geometry.kv_width();
    Given {
        qkv: noise(rows.len() * qkv_width, 1),
        keys: noise(cache_rows * geometry.kv_width(), 2),
        values: noise(cache_rows * geometry.kv_width(), 3),
    }
}

/// The definition, in f64.
fn expected(given: &Given, rows: &[Row], geometry: &Geometry) -> Vec<f64> {
    let Geometry { heads, kv_heads, head_dim, scale, soft_cap, .. } = *geometry;
    let (kv_width, qkv_width) = (geometry.kv_width(), heads * head_dim + 2 * geometry.kv_width());
    let mut z = Vec::new();
    for (r, row) in rows.iter().enumerate() {
        for head in 0..heads {
            let q = &given.qkv[r * qkv_width + head * head_dim..][..head_dim];
            let at = |key: usize| (row.kv_start as usize + key) * kv_width + head / (heads / kv_heads) * head_dim;
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let score = |key: usize| {
                let score = product(q, &given.keys[at(key)..][..head_dim]) * f64::from(scale);
                soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
            };
            let seen = geometry.visible(0, row.position);
            let scores: Vec<f64> = seen.clone().map(score).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
            let sum = weights.iter().sum::<f64>();
            z.extend((0..head_dim).map(|d| {
                let values = seen.clone().zip(&weights);
                values.map(|(key, weight)| weight * f64::from(given.values[at(key) + d])).sum::<f64>() / sum
            }));
        }
    }
    z
}

fn fused(given: &Given, rows: &[Row], geometry: &Geometry) -> Vec<f32> {
    attention(&given.qkv, &given.keys, &given.values, rows, 0, geometry)
}

#[test]
fn what_a_row_sees_is_mixed_as_the_definition_says() {
    let plain = [(9, 3, 64), (4, 4, 16), (2, 1, 100), (3, 3, 5), (8, 2, 8)].map(|(h, kv, d)| geometry(h, kv, d));
    let capped = Geometry { soft_cap: Some(3.0), ..geometry(4, 2, 24) };
    let windowed = Geometry { layers: vec![LayerAttention { window: Some(300), rope: None }], ..geometry(4, 2, 32) };
    for geometry in plain.into_iter().chain([capped, windowed]) {
        let rows = rows(&[0, 1, 3, 7, 8, 30, 254, 255, 256, 257, 511, 512, 700], 11);
        let given = given(&rows, 712, &geometry);
        let (found, expected) = (fused(&given, &rows, &geometry), expected(&given, &rows, &geometry));
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let off = (f64::from(*found) - expected).abs();
            assert!(off < 4e-6, "{geometry:?}, number {at}: {found}, not {expected}");
        }
    }
}

#[test]
fn a_row_attends_alike_in_any_company() {
    let geometry = geometry(9, 3, 64);
    let all = rows(&[600, 2, 599, 256], 5);
    let given = given(&all, 606, &geometry);
    let together = fused(&given, &all, &geometry);
    let (qkv_width, width) = (given.qkv.len() / all.len(), together.len() / all.len());
    for (r, row) in all.iter().enumerate() {
        let qkv = &given.qkv[r * qkv_width..][..qkv_width];
        let alone = attention(qkv, &given.keys, &given.values, &[*row], 0, &geometry);
        assert_eq!(alone, together[r * width..][..width], "row {r}");
    }
}
