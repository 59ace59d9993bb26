//! The planted organism: a model whose mechanism is known (tests/organisms/make.py says how it was written).

use crate::load_file;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use tiller_engine::{Edit, Gpu, Harvest, Positions, Site, TapRows};
use tiller_experiment::Session;
use tiller_interp::patch::Metric;
use tiller_interp::probe::{CavLayer, CavOptions, Concept, concept_vectors};
use tiller_interp::steer::TokenPair;

/// What planted.json says of planted.gguf.
#[derive(Debug, Deserialize)]
pub struct Truth {
    /// Unit vectors in the residual stream, by name.
    pub directions: BTreeMap<String, Vec<f32>>,
    pub causal: Causal,
    pub answers: Answers,
    pub movers: BTreeMap<String, Head>,
    /// By what it writes, the block whose MLP copies the summary.
    pub copiers: BTreeMap<String, u32>,
    /// By concept.
    pub pairs: BTreeMap<String, Vec<TextPair>>,
    pub false_friends: Vec<String>,
    pub neutral: String,
}

#[derive(Debug, Deserialize)]
pub struct Causal {
    /// The directions that move the answer, in the output of each block.
    pub after_block: Vec<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub struct Answers {
    pub positive: String,
    pub negative: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    pub block: u32,
    pub head: u32,
}

/// Two sentences that differ in one word.
#[derive(Clone, Debug, Deserialize)]
pub struct TextPair {
    pub positive: String,
    pub negative: String,
    /// The sentence's template.
    pub group: u32,
}

pub struct Organism {
    pub session: Session,
    pub truth: Truth,
}

impl Organism {
    pub fn open(gpu: Option<Gpu>) -> Organism {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("organisms");
        let truth = std::fs::read(folder.join("planted.json")).expect("planted.json lies beside the script");
        Organism {
            session: load_file(&folder.join("planted.gguf"), gpu, 2048),
            truth: serde_json::from_slice(&truth).expect("planted.json is as make.py writes it"),
        }
    }

    pub fn tokens(&self, text: &str) -> Vec<u32> {
        self.session.tokenizer.encode(text, true, false).expect("the text is short")
    }

    /// The concept's pairs, every token a word.
    pub fn pairs(&self, concept: &str) -> Vec<TokenPair> {
        let pair = |pair: &TextPair| TokenPair {
            positive: self.tokens(&pair.positive),
            negative: self.tokens(&pair.negative),
        };
        self.truth.pairs[concept].iter().map(pair).collect()
    }

    /// The tokens of " good" and " bad".
    pub fn answers(&self) -> [u32; 2] {
        [&self.truth.answers.positive, &self.truth.answers.negative]
            .map(|text| self.session.one_token(text).expect("an answer is one token"))
    }

    /// The logit of " good" less that of " bad" after each prompt, with the edits.
    pub fn verdicts(&mut self, prompts: &[Vec<u32>], edits: &[Edit]) -> Vec<f32> {
        let [good, bad] = self.answers().map(|token| token as usize);
        let what = Harvest { prompts, sites: &[Site::Logits], rows: TapRows::Picks, edits };
        let mut verdicts = vec![0.0; prompts.len()];
        let sink = |reading: tiller_engine::Reading<'_>| {
            verdicts[reading.prompt] = reading.values[good] - reading.values[bad];
        };
        pollster::block_on(self.session.engine.harvest(&what, &(), |_, _| {}, sink)).expect("the organism runs");
        verdicts
    }

    /// How far adding `direction` (times `length`, at the last token, after `block`) moves the verdict, on average.
    pub fn moved_by(&mut self, prompts: &[Vec<u32>], block: u32, direction: &[f32], length: f32) -> f32 {
        let edit = Edit::add(Site::ResidPost(block), direction, length).at(Positions::Last);
        let plain = self.verdicts(prompts, &[]);
        let steered = self.verdicts(prompts, &[edit]);
        steered.iter().zip(&plain).map(|(steered, plain)| steered - plain).sum::<f32>() / plain.len() as f32
    }
}

/// Concept activation vectors of a planted concept after `block`, from some of its pairs; the verdict is looked at after
/// others of the mood's.
pub fn concept_layer(organism: &mut Organism, concept: &str, block: u32) -> CavLayer {
    let pairs = organism.pairs(concept);
    let prompts: Vec<Vec<u32>> = organism
        .pairs("mood")
        .into_iter()
        .skip(96)
        .flat_map(|pair| [pair.positive, pair.negative])
        .step_by(4)
        .collect();
    let positive: Vec<Vec<u32>> = pairs[..96].iter().map(|pair| pair.positive.clone()).collect();
    let others: Vec<Vec<u32>> = pairs[..96].iter().map(|pair| pair.negative.clone()).collect();
    let [answer, wrong] = organism.answers();
    let metric = Metric::LogitDifference { answer, wrong };
    let what = Concept { positive: &positive, others: &others, prompts: &prompts, metric };
    let (engine, sites, options) = (&mut organism.session.engine, [Site::ResidPost(block)], CavOptions::default());
    let found = concept_vectors(engine, &what, &sites, &options, &(), |_, _| {}, |_| {});
    pollster::block_on(found).expect("the organism runs").remove(0)
}
