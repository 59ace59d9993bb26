//! The functions by which the threads of a workgroup put together what each of them has: a sum, a maximum, the better
//! of two. A shader asks for one in a line
//!
//!     //@ over 64 threads, vec4f: sum_over_threads = a + b
//!
//! and gets `fn sum_over_threads(thread: u32, mine: vec4f) -> vec4f`, which all threads have to call, and which gives all
//! of them the same; what a thread wrote to workgroup memory before, the others see afterwards. Of a struct the line lists the fields: `Best { order, token }`.
//!
//! Threads are paired as in a binary tree: neighbours, neighbouring pairs, and so on. Up to `lanes` threads exchange
//! registers (`subgroupShuffleXor`), the rest goes through workgroup memory along the same tree. So any `lanes` gives
//! the same number, and a real subgroup may be larger than `lanes`: drivers choose its size anew for each kernel, between
//! limits of which the lower is `lanes`. What is taken for granted is that aligned runs of so many threads lie in one
//! subgroup, in order; `tune.rs` never chooses subgroups where that turned out otherwise.

/// Threads from which one sum goes through memory at once: each reads so many.
const AT_ONCE: u32 = 8;

/// A function that a shader asks for.
struct Fold<'a> {
    threads: u32,
    ty: &'a str,
    fields: Vec<&'a str>,
    name: &'a str,
    /// What becomes of `a` and `b`.
    of_two: &'a str,
}

impl<'a> Fold<'a> {
    fn asked_for(line: &'a str) -> Option<Fold<'a>> {
        let (threads, rest) = line.strip_prefix("//@ over ")?.split_once(" threads, ")?;
        let (ty, rest) = rest.split_once(": ")?;
        let (name, of_two) = rest.split_once(" = ")?;
        let (ty, fields) = match ty.split_once(" { ") {
            Some((ty, fields)) => (ty, fields.trim_end_matches(" }").split(", ").collect()),
            None => (ty, Vec::new()),
        };
        Some(Fold { threads: threads.parse().ok()?, ty, fields, name, of_two })
    }

    fn text(&self, lanes: u32) -> String {
        let Fold { threads, ty, name, of_two, .. } = *self;
        let lanes = lanes.min(threads);
        let mut text = format!("fn {name}_of_two(a: {ty}, b: {ty}) -> {ty} {{\n    return {of_two};\n}}\n\n");
        let of_two_text = |a: &str, b: &str| format!("{name}_of_two({a}, {b})");
        let mut body = "    var own = mine;\n".to_owned();
        for mask in masks(lanes) {
            body += &format!("    own = {name}_of_two(own, {});\n", self.shuffled(mask));
        }
        // One after the other: what the threads have, what eights of them come to, eights of those, ...
        let mut parts = threads / lanes;
        let mut places = parts;
        if parts == 1 {
            body += "    workgroupBarrier();\n";
        } else {
            let own = if lanes == 1 { "true".to_owned() } else { format!("thread % {lanes}u == 0u") };
            body += &format!("    if {own} {{\n        {name}_parts[thread / {lanes}u] = own;\n    }}\n");
            let mut first = 0;
            while parts > AT_ONCE {
                let eighths = parts / AT_ONCE;
                let eight: Vec<String> =
                    (0..AT_ONCE).map(|i| format!("{name}_parts[{first}u + thread * {AT_ONCE}u + {i}u]")).collect();
                let sum = tree(&eight, &of_two_text);
                body += "    workgroupBarrier();\n";
                body += &format!(
                    "    if thread < {eighths}u {{\n        {name}_parts[{places}u + thread] = {sum};\n    }}\n"
                );
                (first, parts) = (places, eighths);
                places += eighths;
            }
            let last: Vec<String> = (0..parts).map(|i| format!("{name}_parts[{}u]", first + i)).collect();
            body += "    workgroupBarrier();\n";
            body += &format!("    own = {};\n", tree(&last, &of_two_text));
            if first == 0 {
                // The next call writes where this one has read.
                body += "    workgroupBarrier();\n";
            }
            text += &format!("var<workgroup> {name}_parts: array<{ty}, {places}>;\n\n");
        }
        text + &format!("fn {name}(thread: u32, mine: {ty}) -> {ty} {{\n{body}    return own;\n}}\n")
    }

    fn shuffled(&self, mask: u32) -> String {
        if self.fields.is_empty() {
            return format!("subgroupShuffleXor(own, {mask}u)");
        }
        let fields: Vec<String> =
            self.fields.iter().map(|field| format!("subgroupShuffleXor(own.{field}, {mask}u)")).collect();
        format!("{}({})", self.ty, fields.join(", "))
    }
}

/// 1, 2, 4 ... below `lanes`.
pub(crate) fn masks(lanes: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1u32), |mask| mask.checked_mul(2)).take_while(move |&mask| mask < lanes)
}

/// What a power of two of terms comes to, neighbours first; `of_two` writes what two of them come to.
pub(crate) fn tree(terms: &[String], of_two: &impl Fn(&str, &str) -> String) -> String {
    match terms {
        [] => String::new(),
        [one] => one.clone(),
        terms => {
            let (left, right) = terms.split_at(terms.len() / 2);
            of_two(&tree(left, of_two), &tree(right, of_two))
        }
    }
}

/// The text with every function that it asks for. `lanes`: threads that exchange registers, 1 for none.
pub(crate) fn with_folds(text: &str, lanes: u32) -> String {
    text.lines()
        .map(|line| Fold::asked_for(line).map_or_else(|| format!("{line}\n"), |fold| fold.text(lanes)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_put_together_first() {
        let terms = ["a", "b", "c", "d"].map(str::to_owned);
        assert_eq!(tree(&terms, &|a, b| format!("f({a}, {b})")), "f(f(a, b), f(c, d))");
        assert_eq!(masks(16).collect::<Vec<_>>(), [1, 2, 4, 8]);
        assert_eq!(masks(1).count(), 0);
    }

    #[test]
    fn memory_is_used_only_beyond_a_subgroup() {
        let asked = "//@ over 64 threads, Best { order, token }: best = better(a, b)";
        let text = |lanes| with_folds(asked, lanes);
        assert!(!text(1).contains("subgroup") && text(1).contains("array<Best, 72>"), "{}", text(1));
        assert!(text(8).contains("Best(subgroupShuffleXor(own.order, 4u), subgroupShuffleXor(own.token, 4u))"));
        assert!(text(8).contains("array<Best, 8>") && !text(8).contains(", 8u)"), "{}", text(8));
        for lanes in [64, 128] {
            assert!(!text(lanes).contains("var<workgroup>"), "{}", text(lanes));
        }
    }
}
