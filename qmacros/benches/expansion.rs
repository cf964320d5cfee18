//! How long `#[quantizable]` takes to expand: ResNet-50's definition, and a model of 200 layers.
//!
//! `cargo bench -p qmacros` compiles each source with and without the attribute and prints, as JSON, the time of
//! rustc's own pass `macro_expand_crate`, the median of several compilations.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let resnet50 = std::fs::read_to_string(workspace.join("examples/src/models/resnet.rs"))?;
    for (name, source) in [("resnet50", resnet50), ("200 layers", two_hundred_layers())] {
        let package = Package::new(&workspace, &source)?;
        let with = package.median_expansion_ms()?;
        let without = Package::new(&workspace, "use qcore::prelude::*;")?.median_expansion_ms()?;
        println!(
            "{{\"model\": \"{name}\", \"expansion_ms\": {:.1}, \"empty_crate_ms\": {without:.1}}}",
            with - without
        );
    }
    Ok(())
}

/// A chain of 67 times convolution, batch norm, ReLU; one more layer at its end.
fn two_hundred_layers() -> String {
    let blocks = 66;
    let fields: String =
        (0..blocks).map(|i| format!("conv{i}: Conv2d, bn{i}: BatchNorm2d, relu{i}: ReLU,\n")).collect();
    let calls: String =
        (0..blocks).map(|i| format!("let x = self.relu{i}(self.bn{i}(self.conv{i}(x)));\n")).collect();
    format!(
        "use qcore::prelude::*;\n#[quantizable]\npub struct Chain {{ {fields} flatten: Flatten, fc: Linear }}\n\
         #[quantizable]\nimpl Chain {{ pub fn forward(&self, x: Tensor) -> Tensor {{ {calls} self.fc(self.flatten(x)) }} }}"
    )
}

/// A library crate in a folder of its own below the target folder.
struct Package {
    folder: PathBuf,
    target: PathBuf,
}

impl Package {
    fn new(workspace: &Path, source: &str) -> Result<Self, Box<dyn Error>> {
        let target = workspace.join("target/expansion");
        let folder = target.join("package");
        std::fs::create_dir_all(folder.join("src"))?;
        let manifest = format!(
            "[package]\nname = \"expansion\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies]\nqcore = {{ path = {:?} }}\n[workspace]\n",
            workspace.join("qcore")
        );
        std::fs::write(folder.join("Cargo.toml"), manifest)?;
        std::fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        std::fs::write(folder.join("src/lib.rs"), source)?;
        Ok(Self { folder, target })
    }

    fn median_expansion_ms(&self) -> Result<f64, Box<dyn Error>> {
        let mut times = (0..=ROUNDS).map(|_| self.expansion_ms()).collect::<Result<Vec<_>, _>>()?;
        times.remove(0); // builds the dependencies
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    fn expansion_ms(&self) -> Result<f64, Box<dyn Error>> {
        // A changed time stamp makes cargo compile the crate again.
        let source = self.folder.join("src/lib.rs");
        std::fs::write(&source, std::fs::read(&source)?)?;
        let output = Command::new(env!("CARGO"))
            .args(["rustc", "--release", "--lib", "--quiet", "--", "-Ztime-passes"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUSTC_BOOTSTRAP", "1") // `-Ztime-passes` on a stable compiler; only this benchmark needs it
            .output()?;
        let text =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(text.into());
        }
        let line = text.lines().find(|line| line.ends_with("macro_expand_crate")).ok_or("no such pass")?;
        let seconds = line.split_whitespace().find_map(|word| word.trim_end_matches(';').parse::<f64>().ok());
        Ok(1e3 * seconds.ok_or("no time")?)
    }
}
