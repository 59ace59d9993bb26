//! The lines of `shaders/matmul.wgsl` that exist once for each sum that a thread keeps: written out, because an array
//! of sums would lie in memory where a driver does not unroll.

use crate::tiers::Tiles;

/// Rows that one workgroup may take.
pub(crate) const TILE_ROWS: [u32; 2] = [16, 64];

/// Up to so many rows, several of the small tiles leave less undone than one that is large.
pub(crate) const SMALL_TILES: u32 = 48;

/// Outputs that a workgroup takes.
pub(crate) const TILE_OUTPUTS: u32 = 64;

/// How a workgroup's threads share a tile: `across` threads side by side, each with `outputs` outputs; `down` such lines
/// of threads, each with `quads` times four rows.
struct Shares {
    across: u32,
    down: u32,
    outputs: u32,
    quads: u32,
}

impl Shares {
    fn of(rows: u32, tiles: Tiles) -> Shares {
        let (across, quads) = match (tiles, rows) {
            (Tiles::Compact, _) => (8, 2),
            (Tiles::Spread, 16) => (16, 1),
            (Tiles::Spread, _) => (8, 2),
        };
        Shares { across, down: rows / (4 * quads), outputs: TILE_OUTPUTS / across, quads }
    }

    fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        let quads = self.quads;
        (0..self.outputs).flat_map(move |output| (0..quads).map(move |quad| (output, quad)))
    }
}

/// The text for tiles of `rows` rows.
pub(crate) fn matmul_text(template: &str, rows: u32, tiles: Tiles) -> String {
    let shares = Shares::of(rows, tiles);
    let text = template
        .replace("    //@ sums of each output and four rows\n", &sums(&shares))
        .replace("            //@ the products of four columns\n", &products(&shares))
        .replace("    //@ the end of each output and four rows\n", &ends(&shares));
    let Shares { across, down, outputs, quads } = shares;
    let constants = [("ACROSS", across), ("DOWN", down), ("OUTPUTS_A_THREAD", outputs), ("QUADS_A_THREAD", quads)];
    let constants = constants.map(|(name, value)| format!("const {name} = {value}u;\n")).concat();
    constants + &text
}

fn sums(shares: &Shares) -> String {
    shares.pairs().map(|(output, quad)| format!("    var sums_{output}_{quad} = vec4f(0.0);\n")).collect()
}

fn products(shares: &Shares) -> String {
    let weights: String = (0..shares.outputs)
        .map(|output| format!("let w_{output} = w_tile[w_place(tx + {}u, four)];\n", shares.across * output))
        .collect();
    let of_column = |(column, component): (usize, char)| {
        let of_quad = |quad: u32| {
            let place = format!("(four * 4u + {column}u) * QUADS + ty + {}u", shares.down * quad);
            let x = format!("let x_{column}_{quad} = x_tile[{place}];\n");
            let sum = |output| format!("sums_{output}_{quad} += w_{output}.{component} * x_{column}_{quad};\n");
            x + &(0..shares.outputs).map(sum).collect::<String>()
        };
        (0..shares.quads).map(of_quad).collect::<String>()
    };
    weights + &"xyzw".chars().enumerate().map(of_column).collect::<String>()
}

fn ends(shares: &Shares) -> String {
    let of_pair = |(output, quad): (u32, u32)| {
        let row = format!("row + 4u * (ty + {}u)", shares.down * quad);
        let place = format!("{row}, output + tx + {}u", shares.across * output);
        format!("    store(total, {place}, sums_{output}_{quad});\n")
    };
    shares.pairs().map(of_pair).collect()
}
