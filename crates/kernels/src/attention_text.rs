//! The lines of the attention shaders that exist once for each of the query heads that a workgroup takes: written out,
//! because arrays would lie in memory where a driver does not unroll.

use crate::spans::SPAN;

/// Which heads a text of the attention kernels is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeadBlock {
    /// Query heads of one key head that a workgroup takes: 1, 2 or 4.
    pub heads: u32,
    /// The head dimension is a multiple of four, so that keys and values can be read by fours.
    pub whole_fours: bool,
}

impl HeadBlock {
    /// Every block.
    pub(crate) const ALL: [HeadBlock; 6] = [
        HeadBlock { heads: 1, whole_fours: true },
        HeadBlock { heads: 2, whole_fours: true },
        HeadBlock { heads: 4, whole_fours: true },
        HeadBlock { heads: 1, whole_fours: false },
        HeadBlock { heads: 2, whole_fours: false },
        HeadBlock { heads: 4, whole_fours: false },
    ];

    /// The smallest block for `sharing` query heads a key head, or else the largest.
    pub(crate) fn of(sharing: u32, head_dim: u32) -> HeadBlock {
        let heads = match sharing {
            0 | 1 => 1,
            2 => 2,
            _ => 4,
        };
        HeadBlock { heads, whole_fours: head_dim.is_multiple_of(4) }
    }
}

/// The constants that all attention shaders share.
pub(crate) fn span_text() -> String {
    format!("const SPAN = {SPAN}u;\n")
}

/// A text of `shaders/attention.wgsl`.
pub(crate) fn attention_text(template: &str, HeadBlock { heads, .. }: HeadBlock) -> String {
    let text = template
        .replace("    //@ what is mixed for each head\n", &each(heads, |head| format!("    mixed_{head}: vec4f,\n")))
        .replace("        //@ the scores of one key\n", &each(heads, |head| scores(head, 1)))
        .replace("        //@ the scores of four keys\n", &each(heads, |head| scores(head, 4)))
        .replace(
            "    //@ nothing is mixed for each head\n",
            &each(heads, |head| format!("    var mixed_{head} = vec4f(0.0);\n")),
        )
        .replace(
            "        //@ a value for each head\n",
            &each(heads, |head| format!("        mixed_{head} += weight[{head}] * value;\n")),
        )
        .replace(
            "    //@ what each thread has mixed\n",
            &each(heads, |head| format!("    weights[{}u + thread] = mixed_{head};\n", 64 * head)),
        )
        .replace(
            "    //@ the sums of what they have mixed\n",
            &each(heads, |head| format!("    let sum_{head} = sum_abreast(thread, {head}u);\n")),
        )
        .replace("        //@ the sum for each head\n", &each(heads, |head| format!("        sum_{head},\n")))
        .replace(
            "        //@ the merged sum of each head\n",
            &each(heads, |head| format!("        a.mixed_{head} * of_a[{head}] + b.mixed_{head} * of_b[{head}],\n")),
        )
        .replace("    //@ each head is stored\n", &each(heads, stored));
    format!("const HEADS = {heads}u;\n{text}")
}

fn stored(head: u32) -> String {
    let part = format!("parts.highest[{head}], parts.total[{head}], parts.mixed_{head}");
    format!(
        "    if heads.first + {head}u < heads.end {{\n        \
         store(thread, group.y, heads.first + {head}u, span, {part});\n    }}\n"
    )
}

fn each(heads: u32, line: impl Fn(u32) -> String) -> String {
    (0..heads).map(line).collect()
}

fn scores(head: u32, keys: u32) -> String {
    let query = format!("        let query_{head} = queries[four * HEADS + {head}u];\n");
    let of_key = |key| format!("        scores_{key}[{head}] += dot(query_{head}, key_{key});\n");
    query + &each(keys, of_key)
}
