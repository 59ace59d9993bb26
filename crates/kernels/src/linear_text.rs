//! The lines of `shaders/linear.wgsl` that exist once for each row.
//!
//! They are written out, not looped over: an array of sums would lie in memory where a driver does not unroll, and
//! software adapters execute both sides of a branch, so that a kernel for four rows costs as much for one. For the same
//! reason a kernel that folds a layer norm in is a text of its own.

use crate::slot_text::slot_text;

/// Rows that one workgroup may take. A step uses the smallest that holds its rows, or else the largest.
pub(crate) const ROW_BLOCKS: [u32; 3] = [1, 2, FEW_ROWS];

/// The largest block: what the kernel keeps of each row lies in the components of a vector.
pub(crate) const FEW_ROWS: u32 = 4;

/// The text for blocks of `rows` rows. `slot` is the text of `shaders/slot_sums_*.wgsl` for threads that exchange
/// registers with `lanes` - 1 others; `moments` that of `shaders/row_moments.wgsl`, for a kernel that folds a layer norm
/// in.
pub(crate) fn linear_text(template: &str, slot: &str, rows: u32, lanes: u32, moments: Option<&str>) -> String {
    let layer = moments.is_some();
    let before = if layer { "    let moments = row_moments(thread, row, last);\n" } else { "" };
    let norm_bias = if layer { "        let b = norm_bias_octet(chunk);\n" } else { "" };
    let finished = each(rows, |row| format!("sums_{row}, "));
    let text = template
        .replace("    //@ four outputs of each row\n", &each(rows, |row| format!("    of_{row}: vec4f,\n")))
        .replace("//@ the sums over the threads of a slot\n", &slot_text(slot, rows, lanes, !layer))
        .replace("    //@ no sums yet\n", &each(rows, |row| format!("    var sums_{row} = vec4f(0.0);\n")))
        .replace(
            "    //@ the sums of each row are finished\n",
            &format!("    finish(total, row, output, thread, Sums({finished}square));\n"),
        )
        .replace("    //@ the moments of the rows\n", before)
        .replace("        //@ the bias of the norm\n", norm_bias)
        .replace("        //@ the products of each row\n", &each(rows, |row| products(row, layer)));
    let moments = moments.map(|moments| moments_text(moments, rows)).unwrap_or_default();
    format!("const ROWS = {rows}u;\nconst FACTOR_AFTER = {};\n{text}{moments}", !layer)
}

fn each(rows: u32, lines: impl Fn(u32) -> String) -> String {
    (0..rows).map(lines).collect()
}

fn products(row: u32, layer: bool) -> String {
    let x = format!("let x_{row} = {};", row_octet(row));
    if layer {
        let normed = format!("let n_{row} = normed(x_{row}, moments.mean[{row}], moments.factor[{row}], g, b);");
        return format!("{x}\n {normed}\n sums_{row} += n_{row}.lo * w.lo + n_{row}.hi * w.hi;\n");
    }
    let square = format!("square[{row}] += dot(x_{row}.lo, x_{row}.lo) + dot(x_{row}.hi, x_{row}.hi);");
    format!("{x}\n {square}\n sums_{row} += (x_{row}.lo * g.lo) * w.lo + (x_{row}.hi * g.hi) * w.hi;\n")
}

/// The octet of a block's row; a row that the step does not have reads the last one it has.
fn row_octet(row: u32) -> String {
    format!("x_octet(min(row + {row}u, last), chunk)")
}

fn moments_text(template: &str, rows: u32) -> String {
    let sum = |row: u32| {
        let x = row_octet(row);
        format!("let x_{row} = {x};\n sum[{row}] += dot(x_{row}.lo, vec4f(1.0)) + dot(x_{row}.hi, vec4f(1.0));\n")
    };
    let square = |row: u32| {
        let offset = format!("offset_octet(min(row + {row}u, last), chunk, mean[{row}])");
        let lines = format!("let o_{row} = {offset};\n");
        format!("{lines} square[{row}] += dot(o_{row}.lo, o_{row}.lo) + dot(o_{row}.hi, o_{row}.hi);\n")
    };
    template
        .replace("        //@ the sums of each row\n", &each(rows, sum))
        .replace("        //@ the squares of each row\n", &each(rows, square))
}
