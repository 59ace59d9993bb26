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

fn as_safetensors() -> Vec<u8> {
    vector().to_safetensors()
}

#[test]
fn a_vector_comes_back_from_safetensors() {
    let notes = vector().notes.0.into_iter().chain([
        ("tiller.name".to_string(), Value::from("Cheerful − gloomy")),
        ("tiller.model_layers".into(), Value::from(30u32)),
    ]);
    let vector = ControlVector { notes: Metadata(notes.collect()), ..vector() };
    assert_eq!(read(vector.to_safetensors()).unwrap(), vector);
    // An independent reader finds the tensors under their names.
    let bytes = vector.to_safetensors();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let found: Vec<f32> =
        tensors.tensor("direction.12").unwrap().data().as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect();
    assert_eq!(found, vector.directions[&12]);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!((&*metadata["tiller.model_layers"], &*metadata["tiller.typical_norms"]), ("30", "[10.0,20.0]"));
}

/// A file of one tensor, as another program would write it.
fn foreign(name: &str, dtype: safetensors::Dtype, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let view = safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    safetensors::serialize([(name, view)], None).unwrap()
}

#[test]
fn safetensors_of_others_are_numbered_by_their_sites_or_not_at_all() {
    let half = [0x00, 0x3c, 0x00, 0xc0]; // 1 and -2 in F16
    let by_site = read(foreign("blocks.7.hook_resid_post", safetensors::Dtype::F16, &[2], &half)).unwrap();
    assert_eq!((by_site.numbering, &by_site.directions[&7]), (Numbering::BlockOutput, &vec![1.0, -2.0]));
    let by_number = read(foreign("direction.7", safetensors::Dtype::F16, &[2], &half)).unwrap();
    assert_eq!((by_number.numbering, by_number.width()), (Numbering::Unknown, 2));
}

#[test]
fn safetensors_that_are_no_vector_are_refused() {
    use safetensors::Dtype;
    let refused = |name: &str, dtype, shape: &[usize], bytes: &[u8]| {
        read(foreign(name, dtype, shape, bytes)).unwrap_err().to_string()
    };
    let nan = f32::NAN.to_le_bytes();
    assert!(refused("model.layers.0.weight", Dtype::F32, &[1], &[0; 4]).contains("no direction"));
    assert!(refused("direction.512", Dtype::F32, &[1], &[0; 4]).contains("no direction"));
    assert!(refused("blocks.-1.hook_resid_post", Dtype::F32, &[1], &[0; 4]).contains("no direction"));
    assert!(refused("direction.1", Dtype::F32, &[1, 1], &[0; 4]).contains("shape [1, 1]"));
    assert!(refused("direction.1", Dtype::F32, &[0], &[]).contains("shape [0]"));
    assert!(refused("direction.1", Dtype::F32, &[1], &nan).contains("no number"));
    assert!(refused("direction.1", Dtype::I64, &[1], &[0; 8]).contains("I64"));
    assert!(read(b"GGU".to_vec()).is_err() && read(Vec::new()).is_err());
    let text = "x".repeat(20_000);
    let endless =
        ControlVector { notes: Metadata(BTreeMap::from([("tiller.name".into(), Value::from(&*text))])), ..vector() };
    assert!(read(endless.to_safetensors()).unwrap_err().to_string().contains("endless"));
}

#[test]
fn every_truncation_and_every_altered_byte_of_safetensors_ends_well() {
    let bytes = as_safetensors();
    for len in 0..bytes.len() {
        assert!(read(bytes[..len].to_vec()).is_err(), "{len}");
    }
    for at in 0..bytes.len() {
        for value in [0, b'"', b'9', 0xff] {
            let mut altered = bytes.clone();
            altered[at] = value;
            if let Ok(found) = read(altered) {
                assert!(found.directions.values().flatten().all(|x| x.is_finite()), "{at}");
            }
        }
    }
}
