//! `tiller link`: an experiment as a link, its vectors in a compact code where it is to be short.

use crate::{output, recipe_file};
use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use tiller_recipe::{Code, Exhibit, Recipe, to_fragment};

#[derive(Args)]
pub struct Flags {
    /// A recipe's JSON file, a link, or the name of an experiment of the gallery.
    #[arg(value_name = "RECIPE.json|LINK|NAME")]
    recipe: String,
    /// Write vectors as q8 (8 bits a number), q4 (4 bits) or signs (the largest numbers' signs alone). What that costs is
    /// said, and written beside each vector.
    #[arg(long, value_name = "CODE", value_parser = code)]
    compact: Option<Code>,
    /// The page that opens it; without one, the link's part from # on is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    page: String,
    /// Also write the experiment that the link holds as JSON.
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn code(name: &str) -> Result<Code, String> {
    let found = Code::ALL.into_iter().find(|code| code.name() == name);
    found.ok_or_else(|| format!("{name} is no code of vectors: choose one of {}", Code::ALL.map(Code::name).join(", ")))
}

#[derive(Serialize)]
struct Report {
    link: String,
    characters: usize,
    vectors: Vec<Coded>,
}

/// A vector in the link.
#[derive(Serialize)]
struct Coded {
    name: String,
    /// `None` where it is exact.
    code: Option<Code>,
    /// Distance from the vector it stands for, as a share of its length.
    error: f32,
    cosine: f32,
}

pub async fn run(flags: Flags) -> anyhow::Result<()> {
    let mut recipe = match Exhibit::named(&flags.recipe) {
        Some(exhibit) => exhibit.recipe(),
        None => recipe_file::read(&flags.recipe)?,
    };
    if let Some(code) = flags.compact {
        // What is in it now, an older version does not read.
        recipe = Recipe { tiller: tiller_recipe::VERSION, ..recipe.compacted(code) };
    }
    let link = format!("{}{}", flags.page, to_fragment(&recipe)?);
    if let Some(path) = &flags.out {
        let not_written = |error| anyhow!("{} could not be written ({error}): choose another place", path.display());
        std::fs::write(path, recipe.to_json()?).map_err(not_written)?;
    }
    let all = recipe.vectors.iter().chain(recipe.shelf.iter().map(|shelved| &shelved.vector));
    let coded = |vector: &tiller_recipe::Vector| {
        let code = vector.direction.code();
        let error = code.map_or(0.0, |(_, error)| error);
        Coded { name: vector.name.clone(), code: code.map(|(code, _)| code), error, cosine: 1.0 - error * error / 2.0 }
    };
    let vectors: Vec<Coded> = all.map(coded).collect();
    if flags.json {
        return output::json(&Report { characters: link.len(), link, vectors });
    }
    // The link alone goes to stdout, to be passed on.
    for Coded { name, code, error, cosine } in &vectors {
        let how = match code {
            Some(code) => format!("{}, {:.2} % off, cosine {cosine:.4}", code.title(), 100.0 * error),
            None => "exact".into(),
        };
        eprintln!("{name}: {how}");
    }
    eprintln!("{} characters", link.len());
    output::text(&(link + "\n"))
}
