//! Texts that make the same features fire as some examples do (after MoNA: Ma et al. 2025, "Model-oriented data selection by
//! monosemantic neuronal activations").

use super::PlacedSae;
use crate::InterpError;
use crate::shuffle::shuffled;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tiller_engine::{Controls, Engine};

/// A text's features, by their numbers, ascending.
type Signature = Vec<(u32, f64)>;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct SimilarRowsOptions {
    /// Features that a text keeps of all, those of largest weight.
    pub kept: usize,
    /// Shared features that are named of each row.
    pub shared: usize,
    /// Rows that are returned.
    pub top: usize,
    /// Of the features that are taken away for comparison.
    pub seed: u32,
}

/// Rows in the order of how like the examples they are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimilarRows {
    pub rows: Vec<SimilarRow>,
    /// All rows, the most like first: by the cosine of mean activations, less their mean over all rows.
    pub by_activation: Vec<usize>,
    /// By words: BM25 of the examples' tokens.
    pub by_words: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimilarRow {
    pub row: usize,
    /// Generalised Jaccard index of the row's features and the examples'.
    pub similarity: f64,
    /// Features that add most to it, and the share of it that each adds.
    pub shared: Vec<(u32, f64)>,
    /// The row's place among all (from 0) without these features: if they are why it is here, it falls.
    pub rank_without: usize,
    /// The same without as many others of its features, drawn at random.
    pub rank_without_others: usize,
}

/// Texts as they were read, to be ranked by how like some of them are; reading is what takes time.
pub struct ReadTexts<'a> {
    tokens: &'a [Vec<u32>],
    /// By text, each feature's mean over its tokens but the first.
    pooled: Vec<BTreeMap<u32, f64>>,
    /// By text, the mean of those tokens' activations.
    means: Vec<Vec<f64>>,
}

/// Ranks `rows` by how like `examples` their features are, as [`ReadTexts::ranked`]. Errors as [`ReadTexts::read`], and
/// when there are no examples or rows of two tokens or more.
pub async fn similar_rows(
    engine: &mut Engine,
    sae: &PlacedSae<'_>,
    examples: &[Vec<u32>],
    rows: &[Vec<u32>],
    options: &SimilarRowsOptions,
    controls: &impl Controls,
    progress: impl FnMut(u64, u64),
) -> Result<SimilarRows, InterpError> {
    let long = |texts: &[Vec<u32>]| texts.iter().any(|text| text.len() > 1);
    if !long(examples) || !long(rows) {
        return Err(InterpError::TooLittleText { tokens: 0, needed: 1 });
    }
    let texts = [examples, rows].concat();
    let (examples, rows): (Vec<usize>, Vec<usize>) = (0..texts.len()).partition(|&text| text < examples.len());
    let read = ReadTexts::read(engine, sae, &texts, controls, progress).await?;
    Ok(read.ranked(&examples, &rows, options))
}

impl ReadTexts<'_> {
    /// `progress` is told the work done and in all, in tokens. Errors when the SAE does not fit the model, an activation is
    /// not finite, or the work was cancelled.
    pub async fn read<'a>(
        engine: &mut Engine,
        sae: &PlacedSae<'_>,
        tokens: &'a [Vec<u32>],
        controls: &impl Controls,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<ReadTexts<'a>, InterpError> {
        sae.check(engine)?;
        let total = 2 * tokens.iter().map(|text| text.len() as u64).sum::<u64>();
        let (mut pooled, mut means, mut done) = (Vec::new(), Vec::new(), 0);
        const AT_ONCE: usize = 32;
        for some in tokens.chunks(AT_ONCE) {
            // A text without a token has nothing to read; it keeps its place.
            let read: Vec<Vec<u32>> = some.iter().filter(|text| !text.is_empty()).cloned().collect();
            let found =
                sae.activations(engine, &read, &[], controls, |tokens, _| progress(done + tokens, total)).await?;
            done += read.iter().map(|text| text.len() as u64).sum::<u64>();
            let mut found = found.into_iter();
            for text in some {
                let of_text = if text.is_empty() { None } else { found.next() };
                let read = of_text.map(|of_text| of_text.read).unwrap_or_default();
                let read = read.get(sae.sae.d_in..).unwrap_or_default();
                let features = sae.encode(read, controls, |rows| progress(done + rows, total)).await?;
                done += text.len() as u64;
                pooled.push(pool(&features));
                means.push(mean(read, sae.sae.d_in));
            }
        }
        progress(total, total);
        Ok(ReadTexts { tokens, pooled, means })
    }

    /// Ranks `rows` by how like `examples` their features are; both are places among the texts that were read, and there
    /// is at least one of each. A text's signature is each feature's mean over its tokens (but the first), times the
    /// surprise that a row has it at all, in nats, so that features that every text has say nothing; the largest are kept
    /// and brought to a sum of 1. The examples' is the mean of theirs. What is returned numbers rows as `rows` lists them.
    pub fn ranked(&self, examples: &[usize], rows: &[usize], options: &SimilarRowsOptions) -> SimilarRows {
        let of_rows: Vec<&BTreeMap<u32, f64>> = rows.iter().map(|&row| &self.pooled[row]).collect();
        let surprise = surprises(&of_rows);
        let sign = |&text: &usize| signature(&self.pooled[text], &surprise, options.kept);
        let of_examples: Vec<Signature> = examples.iter().map(sign).collect();
        let of_rows: Vec<Signature> = rows.iter().map(sign).collect();
        let prototype = prototype(&of_examples);
        let similarities: Vec<f64> = of_rows.iter().map(|row| jaccard(row, &prototype)).collect();
        let row = |&row: &usize| {
            let shared = shared(&of_rows[row], &prototype, options.shared);
            let named: BTreeSet<u32> = shared.iter().map(|(feature, _)| *feature).collect();
            let others: Vec<u32> =
                of_rows[row].iter().map(|f| f.0).filter(|feature| !named.contains(feature)).collect();
            let drawn = shuffled(u64::from(options.seed) << 32 | row as u64, others.len()).into_iter();
            let others: BTreeSet<u32> = drawn.take(named.len()).map(|n| others[n]).collect();
            let rank_without = |taken: &BTreeSet<u32>| {
                let rest: Signature = of_rows[row].iter().filter(|(f, _)| !taken.contains(f)).copied().collect();
                let left = jaccard(&rest, &prototype);
                similarities.iter().enumerate().filter(|&(other, s)| other != row && *s > left).count()
            };
            let (rank_without, rank_without_others) = (rank_without(&named), rank_without(&others));
            SimilarRow { row, similarity: similarities[row], shared, rank_without, rank_without_others }
        };
        let order = descending(&similarities);
        let means = |of: &[usize]| of.iter().map(|&text| &self.means[text][..]).collect::<Vec<&[f64]>>();
        let tokens = |of: &[usize]| of.iter().map(|&text| &self.tokens[text][..]).collect::<Vec<&[u32]>>();
        SimilarRows {
            rows: order.iter().take(options.top).map(row).collect(),
            by_activation: by_activation(&means(examples), &means(rows)),
            by_words: by_words(&tokens(examples), &tokens(rows)),
        }
    }
}

/// Each feature's mean over tokens.
fn pool(features: &[Vec<(u32, f32)>]) -> BTreeMap<u32, f64> {
    let mut pooled = BTreeMap::new();
    for &(feature, value) in features.iter().flatten() {
        *pooled.entry(feature).or_insert(0.0) += f64::from(value) / features.len() as f64;
    }
    pooled
}

/// `-ln` of the share of rows that have a feature at all.
fn surprises(rows: &[&BTreeMap<u32, f64>]) -> BTreeMap<u32, f64> {
    let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
    rows.iter().flat_map(|row| row.keys()).for_each(|&feature| *counts.entry(feature).or_default() += 1.0);
    counts.into_iter().map(|(feature, count)| (feature, -(count / rows.len() as f64).ln())).collect()
}

fn signature(pooled: &BTreeMap<u32, f64>, surprise: &BTreeMap<u32, f64>, kept: usize) -> Signature {
    // What no row has is shared with none.
    let weigh = |(&feature, &value): (&u32, &f64)| surprise.get(&feature).map(|surprise| (feature, value * surprise));
    let mut weights: Signature = pooled.iter().filter_map(weigh).filter(|(_, weight)| *weight > 0.0).collect();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    weights.truncate(kept);
    weights.sort_by_key(|(feature, _)| *feature);
    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
    weights.iter_mut().for_each(|(_, weight)| *weight /= sum);
    weights
}

fn prototype(signatures: &[Signature]) -> Signature {
    let mut sum: BTreeMap<u32, f64> = BTreeMap::new();
    for &(feature, weight) in signatures.iter().flatten() {
        *sum.entry(feature).or_default() += weight / signatures.len() as f64;
    }
    sum.into_iter().collect()
}

/// `sum min / sum max` over features (Ruzicka 1958); 0 of two empty ones.
fn jaccard(a: &Signature, b: &Signature) -> f64 {
    let all = |s: &Signature| s.iter().map(|(_, weight)| weight).sum::<f64>();
    let least: f64 = common(a, b).map(|(_, weight)| weight).sum();
    let most = all(a) + all(b) - least;
    if most > 0.0 { least / most } else { 0.0 }
}

/// What both have of each feature; both are ascending.
fn common<'a>(a: &'a Signature, b: &'a Signature) -> impl Iterator<Item = (u32, f64)> + 'a {
    let of_b = |feature: u32| b.binary_search_by_key(&feature, |(f, _)| *f).ok().map(|n| b[n].1);
    a.iter().filter_map(move |&(feature, weight)| Some((feature, of_b(feature)?.min(weight))))
}

fn shared(row: &Signature, prototype: &Signature, count: usize) -> Vec<(u32, f64)> {
    let mut shared: Vec<(u32, f64)> = common(row, prototype).collect();
    let sum: f64 = shared.iter().map(|(_, weight)| weight).sum();
    shared.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    shared.truncate(count);
    shared.iter_mut().for_each(|(_, weight)| *weight /= sum);
    shared
}

fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

fn mean(rows: &[f32], width: usize) -> Vec<f64> {
    let n = (rows.len() / width).max(1) as f64;
    let mut mean = vec![0.0; width];
    rows.chunks_exact(width).for_each(|row| mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x) / n));
    mean
}

fn by_activation(examples: &[&[f64]], rows: &[&[f64]]) -> Vec<usize> {
    let middle = |rows: &[&[f64]]| {
        let mut middle = vec![0.0; rows[0].len()];
        rows.iter().for_each(|row| middle.iter_mut().zip(*row).for_each(|(m, x)| *m += x / rows.len() as f64));
        middle
    };
    let (origin, prototype) = (middle(rows), middle(examples));
    let off = |row: &[f64]| row.iter().zip(&origin).map(|(x, o)| x - o).collect::<Vec<f64>>();
    let prototype = off(&prototype);
    let cosine = |row: &&[f64]| {
        let row = off(row);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        product(&row, &prototype)
            / (product(&row, &row) * product(&prototype, &prototype)).sqrt().max(f64::MIN_POSITIVE)
    };
    descending(&rows.iter().map(cosine).collect::<Vec<f64>>())
}

/// BM25 (Robertson and Zaragoza 2009) with k1 = 1.2 and b = 0.75; each token of an example is a term of the query.
fn by_words(examples: &[&[u32]], rows: &[&[u32]]) -> Vec<usize> {
    const K1: f64 = 1.2;
    const B: f64 = 0.75;
    let counts = |text: &[u32]| {
        let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
        text.iter().for_each(|&token| *counts.entry(token).or_default() += 1.0);
        counts
    };
    let of_rows: Vec<BTreeMap<u32, f64>> = rows.iter().map(|row| counts(row)).collect();
    let mut holding: BTreeMap<u32, f64> = BTreeMap::new();
    of_rows.iter().flat_map(BTreeMap::keys).for_each(|&token| *holding.entry(token).or_default() += 1.0);
    let n = rows.len() as f64;
    let mean_length = rows.iter().map(|row| row.len() as f64).sum::<f64>() / n;
    let query = counts(&examples.concat());
    let score = |(row, counts): (&&[u32], &BTreeMap<u32, f64>)| {
        let of_token = |(token, times): (&u32, &f64)| {
            let Some(count) = counts.get(token) else { return 0.0 };
            let held = holding[token];
            let idf = ((n - held + 0.5) / (held + 0.5)).ln_1p();
            let length = 1.0 - B + B * row.len() as f64 / mean_length;
            times * idf * count * (K1 + 1.0) / (count + K1 * length)
        };
        query.iter().map(of_token).sum::<f64>()
    };
    descending(&rows.iter().zip(&of_rows).map(score).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_what_both_have_of_what_either_has() {
        let a = vec![(1, 0.5), (4, 0.3), (7, 0.2)];
        let b = vec![(1, 0.25), (7, 0.5), (9, 0.25)];
        // 0.25 + 0.2 of 0.5 + 0.3 + 0.5 + 0.25.
        assert!((jaccard(&a, &b) - 0.45 / 1.55).abs() < 1e-12);
        assert_eq!(jaccard(&a, &a), 1.0);
        assert_eq!(jaccard(&Vec::new(), &Vec::new()), 0.0);
        let shared = shared(&a, &b, 1);
        assert_eq!((shared[0].0, shared.len()), (1, 1));
        assert!((shared[0].1 - 0.25 / 0.45).abs() < 1e-12);
    }

    #[test]
    fn features_that_every_row_has_say_nothing() {
        let rows: Vec<BTreeMap<u32, f64>> =
            vec![BTreeMap::from([(0, 9.0), (1, 1.0)]), BTreeMap::from([(0, 9.0), (2, 1.0)])];
        let surprise = surprises(&[&rows[0], &rows[1]]);
        assert_eq!(signature(&rows[0], &surprise, 5), [(1, 1.0)]);
        let unseen = BTreeMap::from([(0, 9.0), (3, 5.0)]);
        assert_eq!(signature(&unseen, &surprise, 5), []);
    }

    #[test]
    fn rows_are_found_by_words_that_are_rare() {
        // rank_bm25's BM25Plus has other constants; by hand: token 9 is in one row, token 1 in all.
        let rows: [&[u32]; 3] = [&[1, 2, 3], &[1, 9, 4], &[1, 1, 1]];
        assert_eq!(by_words(&[&[1, 9]], &rows)[0], 1);
        assert_eq!(by_words(&[&[1]], &rows)[0], 2);
    }
}
