//! `Exchange`: a layer with two inputs and two outputs, of operations of the user's own and of qcore's.

use qcore::ops::add;
use qcore::{Loaders, Member, Module, Parameters, Result, Site, Tensor, Tracer, Value, join};

use super::glu::Glu;
use super::snake::Snake;

/// `(a, b)` to `(a * sigmoid(snake(b)), a + snake(b))`.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub snake: Snake,
}

impl Parameters for Exchange {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        self.snake.parameters(&join(path, "snake"), visit);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.snake.parameters_mut(&join(path, "snake"), visit);
    }
}

impl Module for Exchange {
    const NAME: &'static str = "Exchange";
    type Input = (Tensor, Tensor);
    type Output = (Tensor, Tensor);

    fn trace(&self, tracer: &mut Tracer<'_>, (a, b): (Value, Value)) -> Result<(Value, Value)> {
        let b = tracer.scope(Site::new(format_args!("snake")), |tracer| self.snake.trace(tracer, b))?;
        let glu = Member::function(format_args!("glu"), "glu", &Glu);
        let gated = tracer.call(Site::new(format_args!("glu")), &[glu], &mut [a.clone(), b.clone()])?;
        let add = add()?;
        let add = Member::function(format_args!("sum"), "add", &add);
        let sum = tracer.call(Site::new(format_args!("sum")), &[add], &mut [a, b])?;
        Ok((gated, sum))
    }

    fn loaders(loaders: &mut Loaders) {
        Snake::loaders(loaders);
        loaders.add::<Glu>("glu");
    }
}
