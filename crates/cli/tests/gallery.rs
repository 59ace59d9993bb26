//! The gallery's experiments, run by the program: what the page says was found is what is found.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tiller_recipe::{Finding, GALLERY, findings};

/// Another processor sums in another order; what is rounded in a sentence may then be its neighbour.
fn alike(found: f64, written: f64) -> bool {
    found == written || (found - written).abs() <= 0.05 + 0.01 * written.abs()
}

/// What `tiller run` says of an experiment.
fn run(name: &str) -> Finding {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    // No test may reach the network: the model is in the cache that the set-up fills.
    let sae = concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/sae/smollm2-135m-instruct-resid-14");
    command
        .args(["run", name, "--evidence", "--sae", sae, "--backend", "cpu", "--json"])
        .env("TILLER_HUB", "http://127.0.0.1:9");
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("the program prints JSON");
    serde_json::from_value(report["finding"].take()).unwrap_or_else(|error| panic!("{name} has no finding: {error}"))
}

/// Holds what is written against what is found; with `TILLER_WRITE_DOCS` set, writes it.
#[test]
fn what_the_page_says_of_its_experiments_is_what_is_found() {
    let found: BTreeMap<String, Finding> =
        GALLERY.iter().map(|exhibit| (exhibit.name.to_string(), run(exhibit.name))).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if std::env::var_os("TILLER_WRITE_DOCS").is_some() {
        let json = serde_json::to_string_pretty(&found).expect("findings are plain data") + "\n";
        std::fs::write(root.join("crates/recipe/gallery/findings.json"), json).expect("findings are written");
        std::fs::write(root.join("docs/gallery.md"), table(&found)).expect("the table is written");
        return;
    }
    let written = findings();
    for (name, found) in &found {
        let Some(written) = written.get(name) else { panic!("nothing is written of {name}") };
        let same_figures = found.figures.len() == written.figures.len()
            && found
                .figures
                .iter()
                .all(|(figure, &value)| written.figures.get(figure).is_some_and(|&written| alike(value, written)));
        assert!(
            found.holds == written.holds && same_figures,
            "{name}: {found:?} is found and {written:?} is written: run this test once with TILLER_WRITE_DOCS=1, and \
             look at the difference"
        );
    }
    let table = table(&written);
    let in_docs = std::fs::read_to_string(root.join("docs/gallery.md")).unwrap_or_default();
    assert!(table == in_docs, "docs/gallery.md does not say what crates/recipe/gallery/findings.json says");
}

fn table(found: &BTreeMap<String, Finding>) -> String {
    let mut table = String::from(
        "# The gallery\n\nThe experiments that the page begins with, on SmolLM2-135M-Instruct (Q4_1), and what was found \
         on the CPU. `tiller run NAME\n--evidence` prints each; a test runs them all and holds them against this table, \
         which it writes with `TILLER_WRITE_DOCS=1`.\nAn effect holds where it stands out from its control; a null stays \
         in the table.\n\n| experiment | view | holds | finding |\n| --- | --- | --- | --- |\n",
    );
    for exhibit in &GALLERY {
        let Some(Finding { holds, sentence, .. }) = found.get(exhibit.name) else { continue };
        let holds = match holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "no effect claimed",
        };
        let view = exhibit.recipe().view.title();
        table += &format!("| `{}`: {} | {view} | {holds} | {sentence} |\n", exhibit.name, exhibit.title);
    }
    table
}
