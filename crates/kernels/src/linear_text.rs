//! The lines of `shaders/linear.wgsl` that exist once for each row.
//!
//! They are written out, not looped over: an array of sums would lie in memory where a driver does not unroll, and
//! software adapters execute both sides of a branch, so that a kernel for sixteen rows costs as much for one.

/// Rows that one workgroup may take. A step uses the smallest that holds its rows, or else the largest.
pub(crate) const ROW_BLOCKS: [u32; 4] = [1, 2, 4, 16];

/// Blocks up to this many rows can fold a norm in: `squares` in the shader holds four rows.
pub(crate) const NORMED_ROWS: u32 = 4;

/// The text for blocks of `rows` rows.
pub(crate) fn linear_text(template: &str, rows: u32) -> String {
    let text = template
        .replace("    //@ a sum for each row\n", &sums(rows))
        .replace("        //@ the products of each row\n", &products(rows))
        .replace("    //@ the end of every four rows\n", &ends(rows));
    format!("const ROWS = {rows}u;\n{text}")
}

fn sums(rows: u32) -> String {
    (0..rows.max(4)).map(|row| format!("    var sums_{row} = vec4f(0.0);\n")).collect()
}

fn products(rows: u32) -> String {
    let of_row = |row: u32| {
        let x = format!("let x_{row} = x_octet(min(row + {row}u, last), chunk);");
        if rows > NORMED_ROWS {
            return format!("{x}\n sums_{row} += x_{row}.lo * w.lo + x_{row}.hi * w.hi;\n");
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
