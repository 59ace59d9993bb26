//! Control vectors there and back, and files that only look like one.

use std::collections::BTreeMap;
use tiller_formats::{ControlVector, ControlVectorError, Gguf, GgufWriter, Metadata, Numbering, Quant, Value};

fn read(bytes: Vec<u8>) -> Result<ControlVector, ControlVectorError> {
    pollster::block_on(ControlVector::read(&bytes))
}

fn vector() -> ControlVector {
    ControlVector {
        model_hint: "llama".into(),
        directions: BTreeMap::from([(0, vec![1.0, -2.0, 0.5]), (12, vec![0.0, 3.0, -1e-7])]),
        numbering: Numbering::BlockOutput,
        notes: Metadata(BTreeMap::from([
            ("tiller.method".into(), Value::from("mean-difference")),
            ("tiller.typical_norms".into(), Value::from(vec![10.0f32, 20.0])),
        ])),
    }
}

#[test]
fn a_vector_comes_back_as_it_was_written() {
    assert_eq!(read(vector().to_bytes().unwrap()).unwrap(), vector());
    assert_eq!(vector().width(), 3);
}

#[test]
fn other_programs_find_what_they_look_for() {
    let gguf = pollster::block_on(Gguf::read(&vector().to_bytes().unwrap())).unwrap();
    assert_eq!(gguf.metadata.get_str("general.architecture").unwrap(), "controlvector");
    assert_eq!(gguf.metadata.get_str("controlvector.model_hint").unwrap(), "llama");
    assert_eq!(gguf.metadata.get_u32("controlvector.layer_count").unwrap(), 2);
    let direction = gguf.tensor("direction.12").unwrap();
    assert_eq!((direction.quant, &direction.shape[..]), (Quant::F32, &[3][..]));
}

#[test]
fn the_numbering_of_others_is_unknown_until_a_person_says() {
    let mut file = GgufWriter::new("controlvector").with("controlvector.model_hint", "llama");
    file.tensor("direction.1", Quant::F32, &[2], &[1.0, 2.0]).unwrap();
    let found = read(file.to_bytes().unwrap()).unwrap();
    assert_eq!(found.numbering, Numbering::Unknown);
    let shifted = found.from_one_based().unwrap();
    assert_eq!((shifted.numbering, shifted.directions.keys().copied().collect()), (Numbering::BlockOutput, vec![0]));
    assert!(ControlVector { directions: BTreeMap::from([(0, vec![1.0])]), ..vector() }.from_one_based().is_err());
}

#[test]
fn what_is_no_control_vector_is_refused() {
    let refused = |file: &GgufWriter| read(file.to_bytes().unwrap()).unwrap_err().to_string();
    assert!(refused(&GgufWriter::new("llama")).contains("is a \"llama\""));
    let empty = GgufWriter::new("controlvector");
    assert!(refused(&empty).contains("no directions"));

    let with = |name: &str, shape: &[usize], numbers: &[f32]| {
        let mut file = empty.clone();
        file.tensor("direction.1", Quant::F32, &[2], &[1.0, 2.0]).unwrap();
        file.tensor(name, Quant::F32, shape, numbers).unwrap();
        refused(&file)
    };
    assert!(with("direction.x", &[2], &[1.0; 2]).contains("no direction"));
    assert!(with("direction.512", &[2], &[1.0; 2]).contains("no direction"));
    assert!(with("other", &[2], &[1.0; 2]).contains("no direction"));
    assert!(with("direction.01", &[2], &[1.0; 2]).contains("appears twice"));
    assert!(with("direction.2", &[3], &[1.0; 3]).contains("different widths"));
    assert!(with("direction.2", &[1, 2], &[1.0; 2]).contains("shape [1, 2]"));
    assert!(with("direction.2", &[2], &[1.0, f32::NAN]).contains("no number"));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = vector().to_bytes().unwrap();
    let gguf = pollster::block_on(Gguf::read(&bytes)).unwrap();
    let end = gguf.tensors.values().map(|tensor| tensor.offset + tensor.bytes).max().unwrap() as usize;
    for len in 0..end {
        assert!(read(bytes[..len].to_vec()).is_err(), "{len}");
    }
}
