//! The lines of `shaders/slot_sums_*.wgsl`: how the sixteen threads that share four outputs of `shaders/linear.wgsl` put
//! their sums together, along the tree of `fold_text.rs`. Each of the 64 threads of a workgroup then has one output of
//! one row, so that where threads exchange registers, they need not exchange all of them.

use crate::fold_text::{masks, tree};

/// Threads that share four outputs.
const SLOT: u32 = 16;

/// The text for blocks of `rows` rows. `template` is the text for threads that exchange registers with `lanes` - 1
/// others where that is not 0. `squared`: the squares of the rows are summed up beside.
pub(crate) fn slot_text(template: &str, rows: u32, lanes: u32, squared: bool) -> String {
    let lanes = lanes.min(SLOT);
    template
        .replace(
            "    //@ the sums of each row are left for the others\n",
            &each(rows, |row| format!("    products[{}u + thread] = sums.of_{row};\n", 64 * row)),
        )
        .replace(
            "    //@ the sum and the square of all threads\n",
            &through_memory(1, "products", "[component]", "row"),
        )
        .replace("    //@ the sums of each row over neighbours\n", &each(rows, |row| over_neighbours(row, lanes)))
        .replace("    //@ the squares of each row over neighbours\n", &squares(rows, lanes, squared))
        .replace("    //@ the sum and the square of all neighbours\n", &of_neighbours(rows, lanes))
}

fn each(rows: u32, line: impl Fn(u32) -> String) -> String {
    (0..rows).map(line).collect()
}

/// The sums of what every `step`th thread of the slot left in memory.
fn through_memory(step: u32, sums: &str, component: &str, row: &str) -> String {
    let terms =
        |place: &dyn Fn(u32) -> String| -> Vec<String> { (0..SLOT).step_by(step as usize).map(place).collect() };
    let sum = tree(&terms(&|i| format!("{sums}[start + {i}u]{component}")), &plus);
    let square = tree(&terms(&|i| format!("squares[{i}][{row}]")), &plus);
    format!("    let sum = {sum};\n    let square = {square};\n")
}

fn plus(a: &str, b: &str) -> String {
    format!("({a} + {b})")
}

fn over_neighbours(row: u32, lanes: u32) -> String {
    let first = format!("    var sum_{row} = sum_over_four(thread, sums.of_{row});\n");
    let more = masks(lanes).filter(|&mask| mask >= 4);
    first + &more.map(|mask| format!("    sum_{row} += subgroupShuffleXor(sum_{row}, {mask}u);\n")).collect::<String>()
}

/// Only as many components as there are rows are exchanged.
fn squares(rows: u32, lanes: u32, squared: bool) -> String {
    if !squared {
        return "    let squares_here = vec4f(0.0);\n".to_owned();
    }
    let (components, rest) = match rows {
        1 => ("x", ", 0.0, 0.0, 0.0"),
        2 => ("xy", ", 0.0, 0.0"),
        _ => ("xyzw", ""),
    };
    let exchanged: String =
        masks(lanes).map(|mask| format!("        of_rows += subgroupShuffleXor(of_rows, {mask}u);\n")).collect();
    format!(
        "    var of_rows = sums.square.{components};\n    if dims.normed == 1u {{\n{exchanged}    }}\n    \
         let squares_here = vec4f(of_rows{rest});\n"
    )
}

fn of_neighbours(rows: u32, lanes: u32) -> String {
    if lanes == SLOT {
        let of_row = |first: u32| match first + 1 < rows {
            true => format!("select(sum_{first}, sum_{}, (row & 1u) == 1u)", first + 1),
            false => format!("sum_{first}"),
        };
        let sum = if rows > 2 { format!("select({}, {}, row >= 2u)", of_row(0), of_row(2)) } else { of_row(0) };
        return format!("    let sum = {sum};\n    let square = squares_here[row];\n");
    }
    let left = each(rows, |row| format!("    parts[{}u + thread] = sum_{row};\n", 64 * row));
    let sums = through_memory(lanes, "parts", "", "row");
    format!(
        "{left}    if thread < {SLOT}u {{\n        squares[thread] = squares_here;\n    }}\n    workgroupBarrier();\n    \
         let start = min(row, ROWS - 1u) * 64u + thread / {SLOT}u * {SLOT}u + thread % 4u;\n{sums}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_subgroup_does_not_hold_goes_through_memory() {
        let template = "    //@ the sum and the square of all neighbours\n";
        assert!(!slot_text(template, 4, 32, true).contains("workgroupBarrier"));
        assert!(slot_text(template, 4, 8, true).contains("(parts[start + 0u] + parts[start + 8u])"));
        assert!(slot_text(template, 1, 4, true).contains("parts[start + 12u]"));
    }
}
