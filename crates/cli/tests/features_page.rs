//! What holding features does, run by the program: the page of documentation says what is found.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tiller_recipe::GALLERY;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn steer(features: &str) -> Output {
    // No test may reach the network: the model is in the cache that the set-up fills.
    let model = GALLERY[0].recipe().model;
    let sae = root().join("public/sae/smollm2-135m-instruct-resid-14");
    Command::new(env!("CARGO_BIN_EXE_tiller"))
        .args(["sae", "steer", "--model", &format!("{}/{}", model.repo, model.file), "--sae"])
        .arg(sae)
        .args(["--features", features, "--backend", "cpu", "--json"])
        .env("TILLER_HUB", "http://127.0.0.1:9")
        .output()
        .expect("the program runs")
}

/// "+2.64 [+2.18, +3.10]", "-0.79 to +0.19": the numbers.
fn numbers(cell: &str) -> Vec<f64> {
    cell.split(|c: char| !"+-.0123456789".contains(c)).filter_map(|part| part.parse().ok()).collect()
}

#[test]
fn the_page_of_features_says_of_the_first_and_the_last_of_its_table_what_is_found() {
    let page = std::fs::read_to_string(root().join("docs/features.md")).expect("the page is there");
    let row =
        |line: &str| -> Vec<String> { line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']).into()).collect() };
    let rows: Vec<Vec<String>> =
        page.lines().map(row).filter(|row| row.len() == 12 && row[0].parse::<u32>().is_ok()).collect();
    let raised = |row: &&Vec<String>| row[11] == "raised";
    assert_eq!(rows.iter().filter(raised).count(), 10, "ten features stand out");
    let last = rows.last().expect("there are ten");
    let output = steer(&format!("{},{}", rows[0][0], last[0]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("the program prints JSON");
    for (row, found) in [&rows[0], last].into_iter().zip(found["features"].as_array().unwrap()) {
        assert_eq!((&found["feature"].to_string(), &found["label"]["text"]), (&row[0], &Value::from(row[1].as_str())));
        let chosen = &found["chosen"];
        // Another processor sums in another order; what is rounded may then be its neighbour.
        let alike = |found: &Value, written: f64, what: &str| {
            let found = found.as_f64().unwrap_or_else(|| panic!("{what} is no number in {chosen}"));
            assert!((found - written).abs() <= 0.02 + 0.01 * written.abs(), "{what}: {found} found, {written} written");
        };
        let effect = &chosen["words"]["effect"];
        let written = numbers(&row[6]);
        alike(&effect["mean"], written[0], "effect");
        alike(&effect["interval"][0], written[1], "lower end");
        alike(&effect["interval"][1], written[2], "upper end");
        for (kind, cell) in [("others", 7), ("random", 8)] {
            let controls: Vec<f64> =
                chosen["words"][kind].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
            let least = controls.iter().copied().fold(f64::INFINITY, f64::min);
            let most = controls.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let written = numbers(&row[cell]);
            alike(&least.into(), written[0], kind);
            alike(&most.into(), written[1], kind);
        }
    }
}

#[test]
fn a_feature_whose_label_names_no_tokens_is_left_out_by_a_sentence() {
    // Of this SAE, 100 fires after a word, and 4095 has no label.
    let output = steer("100,4095,5000");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for expected in ["100 is left out: its label, after", "no such feature", "name others"] {
        assert!(said.contains(expected), "{said} does not say {expected:?}");
    }
}
