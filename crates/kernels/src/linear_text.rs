//! The lines of `shaders/linear.wgsl` that exist once for each row.
//!
//! They are written out, not looped over: an array of sums would lie in memory where a driver does not unroll, and
//! software adapters execute both sides of a branch, so that a kernel for sixteen rows costs as much for one. For the
//! same reason a kernel that folds a layer norm in is a text of its own.

/// Rows that one workgroup may take. A step uses the smallest that holds its rows, or else the largest.
pub(crate) const ROW_BLOCKS: [u32; 4] = [1, 2, 4, 16];

/// Blocks up to this many rows can fold a norm in: `squares` and the moments in the shaders hold four rows.
pub(crate) const NORMED_ROWS: u32 = 4;

/// The text for blocks of `rows` rows. `moments` is the text of `shaders/row_moments.wgsl`, for a kernel that folds a
/// layer norm in.
pub(crate) fn linear_text(template: &str, rows: u32, moments: Option<&str>) -> String {
    let layer = moments.is_some();
    let before = if layer { "    let moments = row_moments(thread, row, last);\n" } else { "" };
    let norm_bias = if layer { "        let b = norm_bias_octet(chunk);\n" } else { "" };
    let text = template
        .replace("    //@ the moments of the rows\n", before)
        .replace("    //@ a sum for each row\n", &sums(rows))
        .replace("        //@ the bias of the norm\n", norm_bias)
        .replace("        //@ the products of each row\n", &products(rows, layer))
        .replace("    //@ the end of every four rows\n", &ends(rows));
    let moments = moments.map(|moments| moments_text(moments, rows)).unwrap_or_default();
    format!("const ROWS = {rows}u;\nconst FACTOR_AFTER = {};\n{text}{moments}", !layer)
}

fn sums(rows: u32) -> String {
    (0..rows.max(4)).map(|row| format!("    var sums_{row} = vec4f(0.0);\n")).collect()
}

fn products(rows: u32, layer: bool) -> String {
    let of_row = |row: u32| {
        let x = format!("let x_{row} = {};", row_octet(row));
        if rows > NORMED_ROWS {
            return format!("{x}\n sums_{row} += x_{row}.lo * w.lo + x_{row}.hi * w.hi;\n");
        }
        if layer {
            let normed = format!("let n_{row} = normed(x_{row}, moments.mean[{row}], moments.factor[{row}], g, b);");
            return format!("{x}\n {normed}\n sums_{row} += n_{row}.lo * w.lo + n_{row}.hi * w.hi;\n");
        }
        let square = format!("square[{row}] += dot(x_{row}.lo, x_{row}.lo) + dot(x_{row}.hi, x_{row}.hi);");
        format!("{x}\n {square}\n sums_{row} += (x_{row}.lo * g.lo) * w.lo + (x_{row}.hi * g.hi) * w.hi;\n")
    };
    let of_four = |first: u32| {
        let lines: String = (first..rows.min(first + 4)).map(of_row).collect();
        // Hardware skips fours that the step does not have.
        if rows > 4 { format!("if live > {first}u {{\n{lines}}}\n") } else { lines }
    };
    (0..rows).step_by(4).map(of_four).collect()
}

/// The octet of a block's row; a row that the step does not have reads the last one it has.
fn row_octet(row: u32) -> String {
    format!("x_octet(min(row + {row}u, last), chunk)")
}

fn moments_text(template: &str, rows: u32) -> String {
    let of_rows = |line: &dyn Fn(u32) -> String| (0..rows).map(line).collect::<String>();
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
        .replace("        //@ the sums of each row\n", &of_rows(&sum))
        .replace("        //@ the squares of each row\n", &of_rows(&square))
}

fn ends(rows: u32) -> String {
    let of_four = |first: u32| {
        let sums: Vec<String> = (first..first + 4).map(|row| format!("sums_{row}")).collect();
        // The shared sums of the four rows before must have been read.
        let barrier = if first > 0 { "workgroupBarrier();\n" } else { "" };
        let finish = format!("finish(total, row + {first}u, output, thread, {});", sums.join(", "));
        format!("if live > {first}u {{\n{barrier}{finish}\n}}\n")
    };
    (0..rows).step_by(4).map(of_four).collect()
}
