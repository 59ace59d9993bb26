//! Which of a repository's files a tab can load, and which it should.

use crate::quantisation::{self, Quantisation};
use crate::repository::{Repository, RepositoryFile};
use tiller_sites::ModelRef;

/// What can be chosen from a repository, smallest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub choices: Vec<Choice>,
    /// The choice that is proposed, by index, and why: a clause that follows on "because".
    pub proposed: Option<(usize, String)>,
}

/// One way to load a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub what: What,
    /// Of all its files.
    pub bytes: u64,
    /// As the name says ("Q4_K_M").
    pub quantisation: Option<String>,
    pub fit: Fit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A GGUF file, which holds all of a model.
    File(ModelRef),
    /// `config.json`, `tokenizer.json` and the weights as safetensors.
    Folder(Vec<ModelRef>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    Loads,
    /// Longer than what a tab can be trusted to hold beside everything else; it may work.
    Large,
    /// It cannot be loaded, and why: a clause.
    Not(String),
}

/// What a tab holds without trouble, on a phone as well.
const COMFORTABLE_BYTES: u64 = 600_000_000;
/// Beyond this, no tab can hold the weights and everything else.
const MOST_BYTES: u64 = 3_000_000_000;
/// The quantisation from which on nobody can tell the text from the original's, by its place in exactness.
const GOOD_ENOUGH: &str = "Q8_0";

/// What `repository` offers.
pub fn offer(repository: &Repository) -> Offer {
    let gguf = repository.files.iter().filter(|file| file.path.to_lowercase().ends_with(".gguf"));
    let mut choices: Vec<(Choice, Option<Quantisation>)> = gguf.map(|file| choice(repository, file)).collect();
    choices.extend(folder(repository).map(|choice| (choice, None)));
    choices.sort_by_key(|(choice, _)| choice.bytes);
    let proposed = propose(&choices);
    Offer { choices: choices.into_iter().map(|(choice, _)| choice).collect(), proposed }
}

fn choice(repository: &Repository, file: &RepositoryFile) -> (Choice, Option<Quantisation>) {
    let quantisation = quantisation::of_file(&file.path);
    let fit = fit(file, quantisation.as_ref());
    let name = quantisation.as_ref().map(|found| found.name.clone());
    (Choice { what: What::File(repository.reference(file)), bytes: file.bytes, quantisation: name, fit }, quantisation)
}

fn fit(file: &RepositoryFile, quantisation: Option<&Quantisation>) -> Fit {
    let name = file.path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let is_one_of_several = name.rsplit_once("-of-").is_some_and(|(before, after)| {
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        after.split('.').next().is_some_and(digits) && before.rsplit('-').next().is_some_and(digits)
    });
    if name.starts_with("mmproj") || name.contains("-mmproj") {
        Fit::Not("it is the part of a model that reads images".into())
    } else if name.contains("imatrix") {
        Fit::Not("it holds statistics for quantising, no model".into())
    } else if is_one_of_several {
        Fit::Not("it is one part of several, which cannot be put together here".into())
    } else if let Some(Quantisation { name, exactness: None }) = quantisation {
        Fit::Not(format!("weights stored as {name} cannot be read here"))
    } else if file.bytes > MOST_BYTES {
        Fit::Not("it is larger than what a tab can hold".into())
    } else if file.bytes > COMFORTABLE_BYTES {
        Fit::Large
    } else {
        Fit::Loads
    }
}

/// The files that make a model in the layout of safetensors, at the top of the repository.
fn folder(repository: &Repository) -> Option<Choice> {
    let named = |name: &str| repository.files.iter().find(|file| file.path == name);
    let top = |file: &&RepositoryFile| !file.path.contains('/');
    let config = named("config.json")?;
    let weights: Vec<&RepositoryFile> = match named("model.safetensors.index.json") {
        Some(index) => {
            let is_shard =
                |file: &&RepositoryFile| file.path.starts_with("model-") && file.path.ends_with(".safetensors");
            repository.files.iter().filter(top).filter(is_shard).chain([index]).collect()
        }
        None => vec![named("model.safetensors")?],
    };
    const BESIDE: [&str; 4] =
        ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"];
    let files: Vec<&RepositoryFile> =
        [config].into_iter().chain(weights).chain(BESIDE.into_iter().filter_map(named)).collect();
    let bytes = files.iter().map(|file| file.bytes).sum();
    Some(Choice {
        what: What::Folder(files.into_iter().map(|file| repository.reference(file)).collect()),
        bytes,
        quantisation: None,
        fit: match bytes {
            // They are rounded to eight bits as they are loaded, so less memory is needed than was fetched.
            0..=COMFORTABLE_BYTES => Fit::Loads,
            ..=MOST_BYTES => Fit::Large,
            _ => Fit::Not("they are larger than what a tab can hold".into()),
        },
    })
}

/// The most exact file that a tab holds comfortably, where nobody would see the difference to a more exact one; else
/// the smallest that it can hold at all.
fn propose(choices: &[(Choice, Option<Quantisation>)]) -> Option<(usize, String)> {
    let exactness = |found: &Option<Quantisation>| found.as_ref().and_then(|found| found.exactness);
    let enough = quantisation::of_file(GOOD_ENOUGH).and_then(|found| found.exactness)?;
    let comfortable = || choices.iter().enumerate().filter(|(_, (choice, _))| choice.fit == Fit::Loads);
    let exact = comfortable()
        .filter_map(|(at, (_, found))| Some((at, exactness(found)?)))
        .filter(|&(_, exactness)| exactness >= enough)
        .min_by_key(|&(_, exactness)| exactness);
    let name = |at: usize| choices[at].0.quantisation.as_deref().unwrap_or_default();
    if let Some((at, exactness)) = exact {
        let why = match exactness == enough {
            true => format!("{} is next to the original weights, and a tab holds it with ease", name(at)),
            false => format!("{} is the most exact of those that a tab holds with ease", name(at)),
        };
        return Some((at, why));
    }
    // Choices are sorted by size: of the others, the smallest.
    if let Some((at, (choice, _))) = comfortable().next() {
        let why = match (&choice.quantisation, choices.len()) {
            (_, 1) => "it is the only one".into(),
            (Some(name), _) => format!("a tab holds it with ease, and {name} loses nothing"),
            (None, _) => "it is the smallest".into(),
        };
        return Some((at, why));
    }
    let at = choices.iter().position(|(choice, _)| choice.fit == Fit::Large)?;
    Some((at, "it is the smallest that can be loaded; it needs a machine with memory to spare".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, u64)]) -> Repository {
        Repository {
            repo: "acme/tiny".into(),
            commit: "main".into(),
            gated: false,
            licence: None,
            architecture: None,
            files: files
                .iter()
                .map(|&(path, megabytes)| RepositoryFile {
                    path: path.into(),
                    bytes: megabytes * 1_000_000,
                    sha256: None,
                })
                .collect(),
        }
    }

    fn proposed(files: &[(&str, u64)]) -> Option<(String, String)> {
        let offer = offer(&repository(files));
        let (at, why) = offer.proposed?;
        match &offer.choices[at].what {
            What::File(file) => Some((file.file.clone(), why)),
            What::Folder(_) => None,
        }
    }

    fn fit_of(path: &str, megabytes: u64) -> Fit {
        offer(&repository(&[(path, megabytes)])).choices.remove(0).fit
    }

    #[test]
    fn of_a_small_model_eight_bits_are_proposed() {
        let files = [("m.F16.gguf", 270), ("m.Q8_0.gguf", 145), ("m.Q4_K_M.gguf", 105), ("README.md", 1)];
        let (file, why) = proposed(&files).unwrap();
        assert_eq!(file, "m.Q8_0.gguf");
        assert!(why.contains("Q8_0"), "{why}");
    }

    #[test]
    fn of_a_larger_one_the_most_exact_that_fits() {
        let files = [("m.Q8_0.gguf", 900), ("m.Q5_K_M.gguf", 640), ("m.Q4_K_M.gguf", 560), ("m.Q4_0.gguf", 500)];
        let (file, why) = proposed(&files).unwrap();
        assert_eq!(file, "m.Q4_K_M.gguf");
        assert!(why.contains("most exact"), "{why}");
        assert_eq!(proposed(&[("m.Q8_0.gguf", 1900), ("m.Q4_0.gguf", 1100)]).unwrap().0, "m.Q4_0.gguf");
        assert_eq!(proposed(&[("m.gguf", 80)]).unwrap().0, "m.gguf");
        assert_eq!(proposed(&[("m.F16.gguf", 30), ("m.F32.gguf", 60)]).unwrap().0, "m.F16.gguf");
    }

    #[test]
    fn what_cannot_be_loaded_says_why_and_is_not_proposed() {
        for (path, megabytes, word) in [
            ("mmproj-F16.gguf", 90, "images"),
            ("m.imatrix.gguf", 1, "statistics"),
            ("m-Q8_0-00001-of-00003.gguf", 90, "several"),
            ("m.IQ4_XS.gguf", 90, "IQ4_XS"),
            ("m.Q8_0.gguf", 8000, "larger"),
        ] {
            assert!(matches!(fit_of(path, megabytes), Fit::Not(why) if why.contains(word)), "{path}");
            assert_eq!(proposed(&[(path, megabytes)]), None, "{path}");
        }
        assert_eq!(fit_of("m.Q8_0.gguf", 900), Fit::Large);
        assert_eq!(fit_of("one-of-them.gguf", 90), Fit::Loads);
    }

    #[test]
    fn a_folder_of_safetensors_is_one_choice() {
        let whole = [("config.json", 1), ("model.safetensors", 270), ("tokenizer.json", 2), ("onnx/model.onnx", 500)];
        let shards = [
            ("config.json", 1),
            ("model.safetensors.index.json", 1),
            ("model-00001-of-00002.safetensors", 200),
            ("model-00002-of-00002.safetensors", 100),
        ];
        for (files, megabytes, count) in [(&whole[..], 273, 3), (&shards[..], 302, 4)] {
            let offer = offer(&repository(files));
            assert_eq!(offer.choices.len(), 1);
            assert_eq!(offer.choices[0].bytes, megabytes * 1_000_000);
            assert!(matches!(&offer.choices[0].what, What::Folder(files) if files.len() == count));
        }
        assert!(offer(&repository(&[("config.json", 1), ("tokenizer.json", 2)])).choices.is_empty());
    }
}
