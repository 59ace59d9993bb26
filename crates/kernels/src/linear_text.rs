//! The lines of `shaders/linear.wgsl` that exist once for each row.
//!
//! They are written out, not looped over: an array of sums would lie in memory where a driver does not unroll, and
//! software adapters execute both sides of a branch, so that a kernel for sixteen rows costs as much for one.

use std::fmt::Write;

/// Rows that one workgroup may take. A step uses the smallest that holds its rows, or else the largest.
pub(crate) const ROW_BLOCKS: [u32; 4] = [1, 2, 4, 16];

/// Blocks up to this many rows can fold a norm in: `squares` in the shader holds four rows.
pub(crate) const NORMED_ROWS: u32 = 4;

/// The text for blocks of `rows` rows.
pub(crate) fn linear_text(template: &str, rows: u32) -> String {
    let mut sums = String::new();
    for row in 0..rows.max(4) {
        let _ = writeln!(sums, "    var sums_{row} = vec4f(0.0);");
    }
    let mut products = String::new();
    for row in 0..rows {
        if rows > 4 && row % 4 == 0 {
            let end = if row > 0 { "        }\n" } else { "" };
            let _ = writeln!(products, "{end}        if live > {row}u {{");
        }
        let _ = writeln!(products, "        let x_{row} = x_octet(min(row + {row}u, last), chunk);");
        if rows <= NORMED_ROWS {
            let _ = writeln!(
                products,
                "        square[{row}] += dot(x_{row}.lo, x_{row}.lo) + dot(x_{row}.hi, x_{row}.hi);"
            );
            let _ =
                writeln!(products, "        sums_{row} += (x_{row}.lo * g.lo) * w.lo + (x_{row}.hi * g.hi) * w.hi;");
        } else {
            let _ = writeln!(products, "        sums_{row} += x_{row}.lo * w.lo + x_{row}.hi * w.hi;");
        }
    }
    if rows > 4 {
        products.push_str("        }\n");
    }
    let mut ends = String::new();
    for row in (0..rows.max(4)).step_by(4) {
        let sums = format!("sums_{row}, sums_{}, sums_{}, sums_{}", row + 1, row + 2, row + 3);
        let _ = writeln!(ends, "    if live > {row}u {{ finish(total, row + {row}u, output, thread, {sums}); }}");
    }
    let text = template
        .replace("    //@ a sum for each row\n", &sums)
        .replace("        //@ the products of each row\n", &products)
        .replace("    //@ the end of every four rows\n", &ends);
    format!("const ROWS = {rows}u;\n{text}")
}
