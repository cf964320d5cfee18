use qcore::ops::BagMode;
use qcore::prelude::*;
use qcore::{Converted, DType, Error, Network};
use tests::tensors::largest_difference;

#[quantizable]
struct Texts {
    words: Embedding,
    bag: EmbeddingBag,
    tags: EmbeddingBag,
    fc: Linear,
}

#[quantizable]
impl Texts {
    fn new() -> Self {
        Self {
            words: Embedding::new(20, 8).padding_idx(0),
            bag: EmbeddingBag::new(20, 8).mode(BagMode::Sum),
            tags: EmbeddingBag::new(5, 8),
            fc: Linear::new(8, 3),
        }
    }

    fn forward(&self, ids: Tensor, tags: Tensor, offsets: Tensor, weights: Tensor) -> Tensor {
        let words = self.words(ids).mean((1,));
        let bags = self.bag(ids, weights) + self.tags(tags, offsets);
        self.fc(relu(words + bags))
    }
}

fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_vec(shape, values.to_vec()).unwrap()
}

fn inputs() -> [Tensor; 4] {
    [
        tensor(&[2, 3], &[19.0, 0.0, 3.0, 7.0, 7.0, 1.0]),
        tensor(&[3], &[4.0, 0.0, 4.0]),
        tensor(&[2], &[0.0, 1.0]),
        tensor(&[2, 3], &[0.5, 1.0, -1.0, 2.0, 0.0, 1.0]),
    ]
}

fn forward(model: &Converted<Texts>) -> qcore::Result<Tensor> {
    let [ids, tags, offsets, weights] = inputs();
    model.forward((&ids, &tags, &offsets, &weights))
}

#[test]
fn tables_of_8_and_4_bits_and_from_a_file() -> qcore::Result<()> {
    let model = Texts::new();
    let [ids, tags, offsets, weights] = inputs();
    let float = model.forward(&ids, &tags, &offsets, &weights)?;
    for (dtype, allowed) in [(DType::QUInt8, 0.05), (DType::QUInt4x2, 0.6)] {
        let quantized = model.prepare(&QConfigMapping::for_dynamic(dtype)?)?.convert()?;
        let y = forward(&quantized)?;
        let difference = largest_difference(&y, &float);
        assert!(difference > 0.0 && difference < allowed, "{dtype:?}: {difference}");
        let path = std::env::temp_dir().join(format!("embeddings_{}_{dtype:?}", std::process::id()));
        quantized.save(&path)?;
        let loaded = Network::load(&path)?.forward(&inputs())?;
        assert_eq!((loaded, forward(&Converted::<Texts>::load(&path)?)?), (vec![y.clone()], y));
        std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
    }
    // int8 around float tables, and both.
    let mapping = QConfigMapping::for_backend(Backend::Native);
    for mapping in
        [mapping.clone(), mapping.module_type::<Embedding>(QConfig::float_qparams_weight_only_qconfig_4bit())]
    {
        let mut prepared = model.prepare(&mapping)?;
        prepared.calibrate([(&ids, &tags, &offsets, &weights)])?;
        assert!(largest_difference(&forward(&prepared.convert()?)?, &float) < 0.6);
    }
    Ok(())
}

#[test]
fn ids_that_are_no_rows_name_the_layer() -> qcore::Result<()> {
    let model = Texts::new();
    let [_, tags, offsets, weights] = inputs();
    let quantized = model.prepare(&QConfigMapping::for_dynamic(DType::QUInt8)?)?.convert()?;
    for bad in [20.0, -1.0, 1.5, f32::NAN] {
        let ids = tensor(&[2, 3], &[19.0, 0.0, 3.0, 7.0, bad, 1.0]);
        let float = model.forward(&ids, &tags, &offsets, &weights).unwrap_err();
        for error in [float, quantized.forward((&ids, &tags, &offsets, &weights)).unwrap_err()] {
            let Error::InLayer { layer, source } = error else { panic!("{error}") };
            assert_eq!(layer, "words");
            assert!(matches!(*source, Error::Index { index: 4, rows: 20, .. }), "{source}");
        }
    }
    let [ids, ..] = inputs();
    let offsets = tensor(&[2], &[0.0, 9.0]);
    let error = model.forward(&ids, &tags, &offsets, &weights).unwrap_err().to_string();
    assert!(error.contains("`tags`") && error.contains("offset 9"), "{error}");
    Ok(())
}

#[test]
fn what_cannot_be_quantized_so_is_refused_by_prepare() {
    let model = Texts::new();
    let refused = |mapping: QConfigMapping| model.prepare(&mapping).unwrap_err().to_string();
    let error = refused(QConfigMapping::new().module("words", QConfig::dynamic()));
    assert!(error.contains("`words`") && error.contains("float, weight_only"), "{error}");
    let four = QConfig::float_qparams_weight_only_qconfig_4bit();
    let max = Texts { bag: EmbeddingBag::new(20, 8).mode(BagMode::Max), ..Texts::new() };
    let error = max.prepare(&QConfigMapping::new().module("bag", four)).unwrap_err().to_string();
    assert!(error.contains("`bag`") && error.contains("`sum` or `mean`"), "{error}");
}
