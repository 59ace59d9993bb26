//! What can go wrong in a method.

use tiller_engine::EngineError;

/// Every message says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum InterpError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("there are no pairs: write at least one text that has the concept and one that lacks it")]
    NoPairs,
    #[error("there are {pairs} pairs, and at least {needed} are needed: half of them choose, and half report")]
    TooFewPairs { pairs: usize, needed: usize },
    #[error("no strengths are named: name at least one")]
    NoStrengths,
    #[error("no layers are named: name at least one")]
    NoLayers,
    #[error("the text has {tokens} tokens, and none is at the positions asked for: name some of them")]
    NoPositions { tokens: usize },
    #[error("{site} holds numbers that are not finite: load the model again, or use another file of it")]
    NotFinite { site: tiller_engine::Site },
    #[error(
        "the edits make the model's output meaningless (it holds numbers that are not finite): lower their strength"
    )]
    Overdriven,
    #[error(
        "{texts} texts at {sites} sites of width {width} are more activations than fit into memory: name fewer layers, or fewer texts"
    )]
    TooManyActivations { texts: usize, sites: usize, width: usize },
    #[error("{}", too_few_examples(.by_group))]
    TooFewExamples { by_group: bool },
    #[error("the texts' activations at {site} do not differ, so that nothing can be read off them: name another site")]
    NothingToRead { site: tiller_engine::Site },
    #[error("C and alpha have to be above 0, and the shrinkage above 0 and at most 1: give other numbers")]
    FitOptions,
    #[error(
        "a probe's hidden layer needs 1 to 1024 units, at least one step, a learning rate above 0 and a penalty of 0 or more: \
         give other numbers"
    )]
    MlpOptions,
    #[error("nothing at {site} tells the classes apart, so that there is nothing to erase: choose another layer")]
    NothingToErase { site: tiller_engine::Site },
    #[error("the neutral text has {tokens} tokens, and needs at least {needed}: use a longer one")]
    NeutralTooShort { tokens: usize, needed: usize },
    #[error(
        "the clean prompt has {clean} tokens and the corrupt one {corrupt}: change one so that they have as many, with what \
         differs in the same places"
    )]
    UnequalPrompts { clean: usize, corrupt: usize },
    #[error("the clean and the corrupt prompt are the same: change what the answer depends on in one of them")]
    SamePrompts,
    #[error(
        "the model tells the two prompts apart too little: {what} is {clean:.2} after the clean one and {corrupt:.2} after \
         the corrupt one, and shares of so small a difference mean nothing; choose other prompts or answers"
    )]
    TooLittleDifference { what: &'static str, clean: f64, corrupt: f64 },
    #[error("the control's text has {tokens} tokens and the prompts have {needed}: give one with as many")]
    UnequalControl { tokens: usize, needed: usize },
    #[error(
        "this model caps its logits, so that they are no sum of what its parts add: choose a model without a cap (Gemma 2 \
         has one)"
    )]
    CappedLogits,
    #[error("both words are the same token, so that there is no direction from one to the other: name two")]
    SameTokens,
    #[error("block {layer}'s MLP has neurons 0 to {last}, and no {neuron}: name others")]
    NoNeuron { layer: u32, neuron: u32, last: u32 },
    #[error("no neurons are named: name at least one, and no more than half of the block's {of}")]
    NoNeurons { of: u32 },
    #[error(
        "the SAE {does} {found} numbers, but this model's activation at {site} has {expected}: use an SAE made with this \
         model"
    )]
    SaeWidth { does: &'static str, found: usize, site: tiller_engine::Site, expected: usize },
    #[error("there is no feature {feature}: the SAE has features 0 to {last}")]
    NoFeature { feature: usize, last: usize },
    #[error(
        "the SAE writes {site}, which is no part of the residual stream, so that its features have no logits of their own: \
         use one at a residual stream, an attention's or an MLP's output"
    )]
    NoDirectLogits { site: tiller_engine::Site },
    #[error("the texts have {tokens} tokens after their first, and {needed} are needed: give more text")]
    TooLittleText { tokens: usize, needed: usize },
    #[error(
        "the tuned lens was not made for this model (it does not fit {site} of width {width}): train one for it, or use \
         the logit lens"
    )]
    OtherLens { site: tiller_engine::Site, width: usize },
    #[error("a lens needs at least one step, one position in each and a learning rate above 0: give other numbers")]
    LensOptions,
    #[error(
        "there are too few texts for concept vectors: give at least one prompt, six texts of the concept, and {others} others"
    )]
    TooFewForConcept { others: usize },
    #[error("concept vectors need at least three sets, C above 0, and a step above 0 and below 1: give other numbers")]
    ConceptOptions,
    #[error("there are no prompts to ask or to make the vector of: give at least one of each kind")]
    NoQueries,
    #[error("no words are named, or all there are: name some of the vocabulary's")]
    NoWords,
    #[error(
        "there are {given} prompts of a kind, and at least {needed} of each are needed: half of them choose, and half report"
    )]
    TooFewPrompts { given: usize, needed: usize },
    #[error("the two checkpoints are no two of one model (base: {base}; tuned: {tuned}): give two of the same shape")]
    UnlikeModels { base: String, tuned: String },
    #[error("the prompts that the condition is for and the others are read alike at every layer: give others")]
    NoCondition,
    #[error("there are no neutral texts: give at least one of two tokens or more")]
    NoNeutralTexts,
}

fn too_few_examples(by_group: &bool) -> &'static str {
    match by_group {
        true => {
            "the groups cannot be divided so that training, validation and test each have texts of both classes: make \
             more and smaller groups, or leave them out"
        }
        false => {
            "there are too few texts to train, choose and test with: write at least three of each class, better thirty"
        }
    }
}
