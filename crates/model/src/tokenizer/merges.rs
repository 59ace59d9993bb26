//! Which pairs of tokens are merged, in which order.

use super::vocabulary::Vocabulary;
use super::{TokenizerError, damaged};
use tokenizers::models::bpe::{Merges, Vocab};

/// The pieces of a SentencePiece vocabulary have at most a few dozen bytes; the cost of finding the merges that make a
/// piece grows with the square of its length.
const LONGEST_PIECE: usize = 256;
/// Merges that a vocabulary implies. Gemma's 262,144 pieces imply half a million; a vocabulary of all parts of a long
/// text would imply a hundred for each piece.
const MOST_MERGES: usize = 1 << 21;

/// The merges as a file lists them: `left right`, the most urgent first.
pub(super) fn listed(ids: &Vocab, lines: &[&str]) -> Result<Merges, TokenizerError> {
    let mut merged = String::new();
    let parse = |(n, line): (usize, &&str)| {
        // The left part may be a space itself, where the vocabulary is not byte-level.
        let space = line.bytes().skip(1).position(|byte| byte == b' ').map(|at| at + 1);
        let parts = space.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?)));
        let (left, right) = parts.ok_or_else(|| damaged(format!("merge {n} is no pair")))?;
        merged.clear();
        merged.extend([left, right]);
        match [left, right, &merged].iter().find(|part| !ids.contains_key(**part)) {
            None => Ok((left.to_string(), right.to_string())),
            Some(_) => Err(damaged(format!("merge {n} is of tokens that are not in the vocabulary"))),
        }
    };
    lines.iter().enumerate().map(parse).collect()
}

/// The merges that a SentencePiece vocabulary implies: two tokens whose texts together are a token's are merged, those
/// of the highest score first. (The conversion of SentencePiece BPE models in `transformers`,
/// `convert_slow_tokenizer.py`.)
pub(super) fn by_score(vocabulary: &Vocabulary, ids: &Vocab) -> Result<Merges, TokenizerError> {
    let mut scored = Vec::new();
    for (text, &id) in ids {
        if text.len() > LONGEST_PIECE {
            continue;
        }
        let Some(score) = vocabulary.score(id) else {
            return Err(damaged("it has no scores"));
        };
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(&left_id), Some(&right_id)) = (ids.get(left), ids.get(right)) {
                if scored.len() == MOST_MERGES {
                    return Err(damaged(format!("its tokens make one another in more than {MOST_MERGES} ways")));
                }
                scored.push((score, id, left_id, right_id));
            }
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
    let text = |id: u32| vocabulary.token(id).map_or_else(String::new, |(text, _)| text.to_string());
    Ok(scored.into_iter().map(|(_, _, left, right)| (text(left), text(right))).collect())
}
