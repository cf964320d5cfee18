use qcore::prelude::*;

#[quantizable]
enum Net {
    Small,
    Large,
}

fn main() {}
