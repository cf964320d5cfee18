use qcore::prelude::*;

#[quantizable]
struct Stem {
    #[quantizable(rename = "0")]
    first: Linear,
    rest: Vec<Linear>,
    #[quantizable(rename = "rest.1")]
    last: Linear,
}

#[quantizable]
impl Stem {
    fn forward(&self, x: Tensor) -> Tensor {
        self.last(self.rest(self.first(x)))
    }
}

#[quantizable]
struct Net {
    features: Stem,
    #[quantizable(rename = "features.0")]
    head: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.head(self.features(x))
    }
}

fn stem(rest: usize) -> Stem {
    let rest = (0..rest).map(|_| Linear::new(4, 4)).collect();
    Stem { first: Linear::new(4, 4), rest, last: Linear::new(4, 4) }
}

fn refused(mut model: impl Module) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let mut state_dict = model.state_dict();
    let errors = [
        state_dict.save(&path).unwrap_err(),
        model.prepare(&QConfigMapping::new()).unwrap_err(),
        model.load_state_dict(&state_dict).unwrap_err(),
    ];
    assert!(!path.exists());
    let keys: Vec<String> = state_dict.shapes().into_keys().collect();
    let shared: Vec<&String> = keys.iter().filter(|key| state_dict.get(key).is_err()).collect();
    assert!(errors.iter().all(|error| error.to_string().contains(shared[0].as_str())), "{errors:?}");
    // Of a file, in which each key is there once.
    for key in keys {
        let shape = state_dict.shapes()[&key].clone();
        state_dict.insert(key, Tensor::zeros(&shape));
    }
    state_dict.save(&path).unwrap();
    let error = model.load_state_dict(&StateDict::open(&path).unwrap()).unwrap_err();
    error.to_string()
}

#[test]
fn a_list_may_be_too_short_to_meet_another_field() -> qcore::Result<()> {
    let mut model = stem(1);
    let state_dict = model.state_dict();
    assert!(state_dict.shapes().contains_key("rest.1.weight"));
    model.load_state_dict(&state_dict)
}

#[test]
fn an_element_that_meets_another_field_is_refused_with_both_names() {
    let message = refused(stem(2));
    for name in ["rest.1.weight", "rest.1.bias", "Stem.rest", "Stem.last"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!message.contains("Stem.first"), "{message}");
}

#[test]
fn a_model_that_meets_another_field_is_refused_with_both_names() {
    let message = refused(Net { features: stem(1), head: Linear::new(4, 4) });
    for name in ["features.0.weight", "Net.features", "Net.head"] {
        assert!(message.contains(name), "{message}");
    }
}
