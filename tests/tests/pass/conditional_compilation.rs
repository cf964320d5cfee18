use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    #[cfg(test)]
    head: Linear,
    #[cfg(any())]
    head: Conv2d,
    #[cfg(any())]
    missing: Linear,
    #[cfg_attr(test, quantizable(skip, rename = "classifier"))]
    last: Linear,
    #[cfg_attr(any(), quantizable(unused))]
    #[cfg_attr(test, cfg(test))]
    tail: Linear,
}

#[quantizable]
impl Net {
    #[cfg(any())]
    fn forward(&self, x: Tensor) -> Tensor {
        self.missing(x)
    }

    #[cfg(test)]
    fn forward(&self, x: Tensor, #[cfg(any())] y: Tensor) -> Tensor {
        #[cfg(test)]
        let x = self.fc(x);
        #[cfg(not(test))]
        let x = self.missing(x);
        #[allow(unused_assignments)]
        let mut y = x.clone();
        #[cfg(any())]
        {
            y = self.missing(y);
        }
        #[cfg_attr(test, cfg(test))]
        {
            y = y + self.head(x);
        }
        let y = if cfg!(any()) { relu(y) } else { y * 3.0 };
        let y = self.last(self.tail(y));
        #[cfg(any())]
        {
            relu(y)
        }
        #[cfg(test)]
        {
            cat(
                [
                    #[cfg(any())]
                    x,
                    y,
                    y,
                ],
                #[cfg(any())]
                0,
                1,
            )
        }
    }
}

fn identity() -> Linear {
    let layer = Linear::new(1, 1).with_weight(Tensor::from_vec(&[1, 1], vec![1.0]).unwrap()).unwrap();
    layer.with_bias(Tensor::zeros(&[1])).unwrap()
}

#[test]
fn what_holds_runs() -> qcore::Result<()> {
    let model = Net { fc: identity(), head: identity(), last: identity(), tail: identity() };
    let x = Tensor::from_vec(&[1, 1], vec![-1.0])?;
    assert_eq!(model.forward(&x)?.as_slice(), Some(&[-6.0, -6.0][..]));
    let shapes = model.state_dict().shapes();
    assert_eq!(
        shapes.keys().filter(|key| key.ends_with("weight")).collect::<Vec<_>>(),
        ["classifier.weight", "fc.weight", "head.weight", "tail.weight"]
    );
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([Tensor::from_vec(&[2, 1], vec![-1.0, 1.0])?])?;
    prepared.convert()?.forward(&x)?;
    Ok(())
}
