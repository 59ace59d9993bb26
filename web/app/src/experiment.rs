//! The experiment as the page edits it, to and from a recipe.

use std::sync::Arc;
use tiller_protocol::{Directions, Lane, LayerDirection, RunSpec};
use tiller_recipe::{
    Edit, FeatureEdit, Features, Lens, Pair, Patching, Probe, Prompt, Recipe, Shelved, Source, Turn, VERSION, Vector,
    View,
};
use tiller_sites::{ModelRef, Positions, Sampling, Site, VectorMethod, catalogue};

/// Everything that the user sets. What the model answers is not part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    pub model: ModelRef,
    pub prompt: PromptDraft,
    pub sampling: Sampling,
    pub max_tokens: u32,
    pub pairs: Vec<Pair>,
    /// What the vector of these pairs is called.
    pub name: String,
    /// How the next vector is made of the pairs.
    pub method: VectorMethod,
    pub vector: Option<ChosenVector>,
    /// In multiples of the typical length of the residual stream at the chosen layer.
    pub strength: f32,
    pub positions: Positions,
    /// The seed of the random direction that stands in for the vector, while it does.
    pub control: Option<u32>,
    /// Edits that came with a link and that this view only shows.
    pub further: Vec<FurtherEdit>,
    /// They act after all other edits.
    pub feature_edits: Vec<FeatureEdit>,
    pub lens: Lens,
    /// Vectors kept beside it. They stay when another experiment is opened.
    pub shelf: Arc<Vec<Shelved>>,
    pub patch: Patching,
    pub probe: Probe,
    pub features: Features,
}

/// The prompt, in the parts that are edited apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptDraft {
    /// Rendered with the model's chat template; else `text` is continued as it stands.
    pub chat: bool,
    pub system: String,
    /// Turns between the system message and the last one, as they came with a link.
    pub earlier: Vec<Turn>,
    pub text: String,
}

/// Directions at every layer, and the layer that is used.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenVector {
    pub directions: Arc<Directions>,
    pub layer: u32,
    /// The pairs it was built from; empty for a vector from a file.
    pub pairs: Vec<Pair>,
}

/// An edit with the vectors it uses, which it names by their place here.
#[derive(Clone, Debug, PartialEq)]
pub struct FurtherEdit {
    pub vectors: Vec<Vector>,
    pub edit: Edit,
}

impl ChosenVector {
    pub fn at_layer(&self) -> Option<&LayerDirection> {
        self.directions.layers.iter().find(|at| at.layer == self.layer)
    }
}

impl PromptDraft {
    fn to_prompt(&self) -> Prompt {
        if !self.chat {
            return Prompt::Text(self.text.clone());
        }
        let turn = |role: &str, content: &str| Turn { role: role.into(), content: content.into() };
        let system = (!self.system.trim().is_empty()).then(|| turn("system", &self.system));
        let last = turn("user", &self.text);
        Prompt::Chat(system.into_iter().chain(self.earlier.iter().cloned()).chain([last]).collect())
    }

    fn from_prompt(prompt: Prompt) -> PromptDraft {
        let mut turns = match prompt {
            Prompt::Text(text) => return PromptDraft { text, ..PromptDraft::default() },
            Prompt::Chat(turns) => turns,
        };
        let system = if turns.first().is_some_and(|turn| turn.role == "system") {
            turns.remove(0).content
        } else {
            String::new()
        };
        // The box edits what the user says last; a conversation that ends otherwise is kept whole above an empty box.
        let text = match turns.pop() {
            Some(last) if last.role == "user" => last.content,
            Some(other) => {
                turns.push(other);
                String::new()
            }
            None => String::new(),
        };
        PromptDraft { chat: true, system, earlier: turns, text }
    }
}

impl Experiment {
    /// What a newcomer finds.
    pub fn starting() -> Experiment {
        let set = &crate::starting_sets::STARTING_SETS[0];
        Experiment {
            model: catalogue().swap_remove(0).model,
            prompt: PromptDraft { chat: true, text: "Tell me about your day.".into(), ..PromptDraft::default() },
            sampling: Sampling::default(),
            max_tokens: 48,
            pairs: set.pairs(),
            name: set.name.into(),
            method: VectorMethod::default(),
            vector: None,
            strength: DEFAULT_STRENGTH,
            positions: Positions::All,
            control: None,
            further: Vec::new(),
            feature_edits: Vec::new(),
            lens: Lens::default(),
            shelf: Arc::default(),
            patch: Patching::default(),
            probe: Probe::default(),
            features: Features::default(),
        }
    }

    /// The vector's edit exists even at strength 0, so that the slider can be moved while a run is written.
    fn vectors_and_edits(&self) -> (Vec<Vector>, Vec<Edit>) {
        let (mut vectors, mut edits) = (Vec::new(), Vec::new());
        if let Some(chosen) = &self.vector
            && let Some(at) = chosen.at_layer()
        {
            vectors.push(Vector {
                name: self.name.clone(),
                method: chosen.directions.method.clone(),
                layer: at.layer,
                direction: at.direction.clone(),
                norm: at.norm,
                typical_norm: at.typical_norm,
            });
            let source = self.control.map_or(Source::Vector(0), |seed| Source::Random { like: 0, seed });
            let added = Edit::add(source, Site::ResidPost(at.layer), self.strength);
            edits.push(Edit { positions: self.positions.clone(), ..added });
        }
        for FurtherEdit { vectors: own, edit } in &self.further {
            let first = vectors.len();
            vectors.extend(own.iter().cloned());
            edits.push(edit.clone().with_vectors(|index| first + index));
        }
        (vectors, edits)
    }

    /// Whether the steered run can differ from the plain one.
    pub fn steers(&self) -> bool {
        let strengths = self.feature_edits.iter().map(|edit| edit.strength);
        self.vectors_and_edits().1.iter().map(|edit| edit.strength).chain(strengths).any(|strength| strength != 0.0)
    }

    /// Whether its link has vectors: in use, or on the shelf.
    pub fn has_vectors(&self) -> bool {
        let chosen = self.vector.as_ref().is_some_and(|chosen| chosen.at_layer().is_some());
        chosen || !self.shelf.is_empty() || self.further.iter().any(|further| !further.vectors.is_empty())
    }

    pub fn run(&self, lanes: Vec<Lane>) -> RunSpec {
        let (vectors, edits) = self.vectors_and_edits();
        RunSpec {
            prompt: self.prompt.to_prompt(),
            sampling: self.sampling,
            max_tokens: self.max_tokens,
            vectors,
            edits,
            feature_edits: self.feature_edits.clone(),
            follow_features: false,
            lanes,
        }
    }

    /// The prompt and the edits that the lens reads.
    pub fn read(&self) -> RunSpec {
        let mut run = self.run(Vec::new());
        if !self.lens.edited {
            run.vectors.clear();
            run.edits.clear();
            run.feature_edits.clear();
        }
        run
    }

    pub fn to_recipe(&self, view: View, backend: Option<String>) -> Recipe {
        let (vectors, edits) = self.vectors_and_edits();
        Recipe {
            tiller: VERSION,
            model: self.model.clone(),
            view,
            prompt: self.prompt.to_prompt(),
            sampling: self.sampling,
            max_tokens: self.max_tokens,
            pairs: self.pairs.clone(),
            vectors,
            edits,
            feature_edits: self.feature_edits.clone(),
            lens: self.lens.clone(),
            // They would make every other link long.
            shelf: if view == View::Vectors { self.shelf.to_vec() } else { Vec::new() },
            patch: self.patch.clone(),
            probe: (view == View::Probes || self.probe != Probe::default()).then(|| self.probe.clone()),
            features: self.features.clone(),
            backend,
        }
    }

    /// The experiment of a valid recipe. The first edit that adds a vector where it was read becomes the one that the
    /// slider moves; all others are kept as they are.
    pub fn from_recipe(recipe: Recipe) -> Experiment {
        let Recipe { vectors, mut edits, pairs, .. } = recipe;
        let main = edits.iter().position(|edit| {
            let at = edit.source.vector().map(|index| Site::ResidPost(vectors[index].layer));
            edit.is_plain_addition() && at == Some(edit.site)
        });
        let main = main.map(|at| edits.remove(at));
        let with_vectors = |edit: Edit| {
            let named = edit.vectors();
            let place = |index: usize| named.iter().position(|&name| name == index).unwrap_or(0);
            FurtherEdit {
                vectors: named.iter().map(|&index| vectors[index].clone()).collect(),
                edit: edit.with_vectors(place),
            }
        };
        let further = edits.into_iter().map(with_vectors).collect();
        let own = main.as_ref().and_then(|edit| edit.source.vector()).unwrap_or(0);
        let vector = vectors.into_iter().nth(own);
        Experiment {
            model: recipe.model,
            prompt: PromptDraft::from_prompt(recipe.prompt),
            sampling: recipe.sampling,
            max_tokens: recipe.max_tokens,
            name: vector.as_ref().map_or_else(|| UNNAMED.into(), |vector| vector.name.clone()),
            method: vector.as_ref().and_then(|vector| vector.method.parse().ok()).unwrap_or_default(),
            vector: vector.map(|vector| ChosenVector::alone(vector, &pairs)),
            pairs,
            strength: main.as_ref().map_or(0.0, |edit| edit.strength),
            control: main.as_ref().and_then(|edit| match edit.source {
                Source::None | Source::Vector(_) => None,
                Source::Random { seed, .. } => Some(seed),
            }),
            positions: main.map(|edit| edit.positions).unwrap_or_default(),
            further,
            feature_edits: recipe.feature_edits,
            lens: recipe.lens,
            shelf: Arc::new(recipe.shelf),
            patch: recipe.patch,
            probe: recipe.probe.unwrap_or_default(),
            features: recipe.features,
        }
    }

    /// Takes directions that were found elsewhere for the vector, at a strength that shows what they do.
    pub fn steer_with(&mut self, directions: Directions, layer: u32, name: &str) {
        const NAME_LENGTH: usize = 200;
        self.vector = Some(ChosenVector { directions: Arc::new(directions), layer, pairs: Vec::new() });
        self.name = name.chars().take(NAME_LENGTH).collect();
        if self.strength == 0.0 {
            self.strength = DEFAULT_STRENGTH;
        }
    }

    /// Whether the pairs, or the method, were changed since the vector was built from them.
    pub fn vector_is_stale(&self) -> bool {
        let made_otherwise =
            |chosen: &ChosenVector| chosen.pairs != self.pairs || chosen.directions.method != self.method.name();
        self.vector.as_ref().is_some_and(|chosen| !chosen.pairs.is_empty() && made_otherwise(chosen))
    }

    /// The pairs that both have a text.
    pub fn complete_pairs(&self) -> Vec<Pair> {
        let complete = |pair: &&Pair| !pair.positive.trim().is_empty() && !pair.negative.trim().is_empty();
        self.pairs.iter().filter(complete).cloned().collect()
    }
}

impl ChosenVector {
    /// Adds what is known of other layers, if it is of the same vector.
    pub fn take_other_layers(&mut self, directions: Directions) {
        let same = |at: &LayerDirection| {
            self.at_layer().is_some_and(|own| own.layer == at.layer && own.direction == at.direction)
        };
        if directions.layers.iter().any(same) {
            if directions.pairs == 0 {
                self.pairs.clear();
            }
            self.directions = Arc::new(directions);
        }
    }

    /// A vector as a link holds it: at one layer, without what would help to choose another.
    pub fn alone(vector: Vector, pairs: &[Pair]) -> ChosenVector {
        let layer = vector.layer;
        let at = LayerDirection {
            layer,
            direction: vector.direction,
            norm: vector.norm,
            typical_norm: vector.typical_norm,
            separability: None,
        };
        let directions =
            Directions { method: vector.method, layers: vec![at], suggested: None, pairs: pairs.len() as u32 };
        ChosenVector { directions: Arc::new(directions), layer, pairs: pairs.to_vec() }
    }
}

/// What a model is called: by the catalogue, or else by its file. (Many files carry a name that tells nobody anything.)
pub fn model_name(model: &ModelRef) -> String {
    let known = catalogue().into_iter().find(|entry| entry.model.repo == model.repo && entry.model.file == model.file);
    known.map_or_else(|| model.file.trim_end_matches(".gguf").to_string(), |entry| entry.name.to_string())
}

/// How a model is named where vectors say what they were read from.
pub fn model_label(model: &ModelRef) -> String {
    format!("{}/{}", model.repo, model.file)
}

/// Whether the page itself offers models of this repository.
pub fn is_known(model: &ModelRef) -> bool {
    catalogue().iter().any(|entry| entry.model.repo == model.repo)
}

/// Strong enough to be seen in the first sentence, weak enough to leave it a sentence.
const DEFAULT_STRENGTH: f32 = 0.25;

const UNNAMED: &str = "Unnamed vector";

#[cfg(test)]
mod tests {
    use super::*;
    use tiller_recipe::Direction;

    fn steered() -> Experiment {
        let at = |layer| LayerDirection {
            layer,
            direction: Direction::along(&[1.0, layer as f32]).unwrap(),
            norm: 2.0,
            typical_norm: 50.0,
            separability: None,
        };
        let directions =
            Directions { method: "mean-diff".into(), layers: vec![at(3), at(4)], suggested: Some(3), pairs: 10 };
        let start = Experiment::starting();
        let vector = ChosenVector { directions: Arc::new(directions), layer: 4, pairs: start.pairs.clone() };
        let lens = Lens { follow: vec![" Paris".into()], edited: true, tuned: true };
        let patch = Patching { clean: "The capital of France is".into(), controls: 3, ..Patching::default() };
        let probe = Probe { method: "lda".into(), layer: Some(7), ..Probe::default() };
        let features = Features { feature: Some(5), pinned: vec![2, 5], ..Features::default() };
        Experiment { vector: Some(vector), strength: -1.25, control: Some(9), lens, patch, probe, features, ..start }
    }

    #[test]
    fn what_newcomers_find_is_a_valid_recipe() {
        Experiment::starting().to_recipe(View::Steer, None).validate().unwrap();
    }

    #[test]
    fn an_experiment_comes_back_from_its_recipe() {
        let sent = steered();
        let opened = Experiment::from_recipe(sent.to_recipe(View::Steer, Some("gpu".into())));
        let lanes = vec![Lane::Plain, Lane::Steered];
        assert_eq!(opened.run(lanes.clone()), sent.run(lanes));
        assert_eq!(opened.pairs, sent.pairs);
        assert_eq!(opened.name, sent.name);
        assert_eq!((opened.read(), &opened.lens), (sent.read(), &sent.lens));
        assert_eq!(opened.patch, sent.patch);
        assert_eq!(opened.probe, sent.probe);
        assert_eq!(opened.features, sent.features);
        assert!(!opened.vector_is_stale());
    }

    #[test]
    fn another_method_makes_the_vector_stale_and_comes_back_from_a_link() {
        let mut experiment = steered();
        experiment.method = VectorMethod::PcaCenter;
        assert!(experiment.vector_is_stale());
        let chosen = experiment.vector.as_mut().unwrap();
        let directions = Directions { method: VectorMethod::PcaCenter.name().into(), ..(*chosen.directions).clone() };
        chosen.directions = Arc::new(directions);
        assert!(!experiment.vector_is_stale());
        let opened = Experiment::from_recipe(experiment.to_recipe(View::Steer, None));
        assert_eq!((opened.method, opened.vector_is_stale()), (VectorMethod::PcaCenter, false));
    }

    #[test]
    fn only_the_same_vector_gives_its_other_layers() {
        let kept = steered();
        let all = (*kept.vector.as_ref().unwrap().directions).clone();
        let mut alone = Experiment::from_recipe(kept.to_recipe(View::Steer, None)).vector.unwrap();
        let mut another = all.clone();
        another.layers.iter_mut().for_each(|at| at.direction = Direction::along(&[1.0, -1.0]).unwrap());
        alone.take_other_layers(another);
        assert_eq!(alone.directions.layers.len(), 1);
        alone.take_other_layers(all);
        assert_eq!(Some(alone), kept.vector);
    }

    #[test]
    fn edits_that_the_slider_does_not_move_are_kept() {
        let mut recipe = steered().to_recipe(View::Steer, None);
        let elsewhere = Edit { positions: Positions::Last, ..Edit::add(Source::Vector(0), Site::MlpOut(1), 0.5) };
        recipe.edits.insert(0, elsewhere.clone());
        let opened = Experiment::from_recipe(recipe);
        assert_eq!(opened.strength, -1.25);
        let run = opened.run(vec![Lane::Steered]);
        assert_eq!(run.edits.len(), 2);
        assert_eq!(run.edits[1], Edit { source: Source::Vector(1), ..elsewhere });
        assert_eq!(run.vectors[1], run.vectors[0]);
    }

    #[test]
    fn conversations_keep_their_turns() {
        let turn = |role: &str| Turn { role: role.into(), content: format!("by the {role}") };
        for roles in [&["user"][..], &["system", "user"], &["user", "assistant", "user"]] {
            let prompt = Prompt::Chat(roles.iter().map(|role| turn(role)).collect());
            assert_eq!(PromptDraft::from_prompt(prompt.clone()).to_prompt(), prompt);
        }
    }

    #[test]
    fn changed_pairs_make_the_vector_stale() {
        let mut experiment = steered();
        assert!(!experiment.vector_is_stale());
        experiment.pairs[0].positive.push('!');
        assert!(experiment.vector_is_stale());
    }
}
