// The nonlinearities of feed-forward layers, by the numbers that `recorder/elementwise.rs` gives them.
const SILU = 0u;
const GELU_TANH = 1u;
const GELU_ERF = 2u;

// x * sigmoid(steepness): beyond 80 the result is 0 in f32, and the exponential would overflow.
fn by_sigmoid(x: f32, steepness: f32) -> f32 {
    return x / (1.0 + exp(min(-steepness, 80.0)));
}

// The error function within 1.5e-7: fits over Chebyshev points, of erf(x) / x in x^2 below 1, of log(1 - erf(x)) above;
// from 4 on the result is 1 in f32.
fn error_function(x: f32) -> f32 {
    let size = min(abs(x), 4.0);
    let z = x * x;
    let near = x * (((((-5.654105916619301e-4 * z + 4.923277534544468e-3) * z - 2.6716385036706924e-2) * z
        + 1.1280364543199539e-1) * z - 3.7612348794937134e-1) * z + 1.1283791065216064);
    let logarithm = (((((((1.6140616025950294e-6 * size - 4.559062290354632e-5) * size + 5.927695310674608e-4) * size
        - 4.740222357213497e-3) * size + 2.636471763253212e-2) * size - 1.0997824370861053e-1) * size
        - 6.319370865821838e-1) * size - 1.1301666498184204) * size + 3.032129898201674e-4;
    return select(sign(x) * (1.0 - exp(logarithm)), near, size < 1.0);
}

fn activated(x: f32, activation: u32) -> f32 {
    switch activation {
        case SILU: {
            return by_sigmoid(x, x);
        }
        case GELU_TANH: {
            // (1 + tanh(u)) / 2 is the sigmoid of 2 u; u is 2 sqrt(2 / pi) / 2 times the cubic.
            return by_sigmoid(x, 1.5957691216057308 * (x + 0.044715 * x * x * x));
        }
        case GELU_ERF: {
            return 0.5 * x * (1.0 + error_function(x * 0.7071067811865476));
        }
        default: {
            return max(x, 0.0);
        }
    }
}
