use super::*;
use tiller_formats::quantise;

/// Numbers between -1 and 1 that look random (a linear congruential generator, Knuth's constants).
pub fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(step).collect()
}

#[derive(Clone, Copy)]
struct Portably;

impl Run for Portably {
    fn run(self, kernel: impl Kernel) {
        simd::run_portably(kernel);
    }
}

pub fn matrix(quant: Quant, rows: usize, cols: usize, seed: u64) -> CpuMatrix {
    let mut matrix = CpuMatrix::new(quant, rows, cols);
    matrix.push_rows(0, &quantise(quant, &noise(rows * cols, seed)).expect("whole blocks"));
    matrix
}

/// Every product must be as near to the f64 product of the dequantised weights as f32 sums come.
fn check(found: &[f32], x: &[f32], w: &CpuMatrix, what: &str) {
    let weights = dequantise(w.quant, &w.bytes, w.rows * w.cols);
    assert_eq!(found.len() * w.cols, w.rows * x.len());
    for (i, x) in x.chunks_exact(w.cols).enumerate() {
        for (j, w_row) in weights.chunks_exact(w.cols).enumerate() {
            let terms = || x.iter().zip(w_row).map(|(x, w)| f64::from(*x) * f64::from(*w));
            let (exact, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            let off = (f64::from(found[i * w.rows + j]) - exact).abs() / size;
            assert!(off < 4.0 * f64::from(f32::EPSILON), "{what}, row {i}, output {j}: off by {off:e}");
        }
    }
}

/// Several super-blocks, or a last group that is cut short where the format allows it; and rows of weights that fill no
/// tile.
fn shapes(quant: Quant) -> Vec<(usize, usize)> {
    match quant.block().0 {
        256 => vec![(7, 768), (1, 256)],
        32 => vec![(7, 96), (65, 32)],
        _ => vec![(7, 96), (50, 43), (3, 5)],
    }
}

#[test]
fn every_format_is_multiplied_as_if_it_were_dequantised() {
    for quant in Quant::ALL {
        for (rows, cols) in shapes(quant) {
            let w = matrix(quant, rows, cols, 1);
            for n in 1..=9 {
                let x = noise(n * cols, 2 + n as u64);
                for way in [Way::FewRows, Way::ManyRows] {
                    let what = format!("{quant}, {rows} x {cols}, {n} rows, {way:?}");
                    check(&product(&x, std::slice::from_ref(&w), way, None, Widest), &x, &w, &what);
                    let portable = product(&x, std::slice::from_ref(&w), way, None, Portably);
                    check(&portable, &x, &w, &format!("{what}, portable"));
                }
            }
        }
    }
}

#[test]
fn a_row_is_multiplied_alike_in_any_company() {
    for quant in Quant::ALL {
        let (rows, cols) = shapes(quant)[0];
        let w = [matrix(quant, rows, cols, 1)];
        let x = noise(9 * cols, 5);
        for way in [Way::FewRows, Way::ManyRows] {
            let together = multiply(&x, &w, way, None);
            for (i, x) in x.chunks_exact(cols).enumerate() {
                assert_eq!(multiply(x, &w, way, None), together[i * rows..(i + 1) * rows], "{quant}, {way:?}, row {i}");
            }
        }
    }
}

#[test]
fn no_rows_give_no_rows() {
    for way in [Way::FewRows, Way::ManyRows] {
        assert!(multiply(&[], &[matrix(Quant::Q4_1, 5, 64, 1)], way, None).is_empty());
    }
}

#[test]
fn matrices_of_different_formats_lie_side_by_side() {
    let w = [Quant::Q4_1, Quant::Q8_0, Quant::F32, Quant::Q6K].map(|quant| matrix(quant, 5, 256, 3));
    let x = noise(3 * 256, 4);
    for way in [Way::FewRows, Way::ManyRows] {
        let all = multiply(&x, &w, way, None);
        for (i, w) in w.iter().enumerate() {
            let part: Vec<f32> = all.chunks_exact(20).flat_map(|row| &row[5 * i..5 * i + 5]).copied().collect();
            check(&part, &x, w, &format!("{} beside others", w.quant));
        }
    }
}

#[test]
fn half_floats_that_are_not_numbers_stay_so() {
    // Infinity, minus infinity, a NaN, the smallest subnormal number, and the largest number.
    let halves: [u16; 5] = [0x7c00, 0xfc00, 0x7e00, 0x0001, 0x7bff];
    for half in halves {
        let mut w = CpuMatrix::new(Quant::F16, 1, 1);
        w.push_rows(0, &half.to_le_bytes());
        let expected = dequantise(Quant::F16, &half.to_le_bytes(), 1)[0];
        for way in [Way::FewRows, Way::ManyRows] {
            let found = product(&[1.0], std::slice::from_ref(&w), way, None, Widest)[0];
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{half:#x}: {found}, not {expected}");
        }
    }
}
