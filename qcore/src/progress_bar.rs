//! `ProgressBar`: on standard error, with the feature `progress`; without it nothing.

/// A bar, or a spinner where the number of steps is not known.
#[cfg(feature = "progress")]
pub(crate) struct ProgressBar(Option<indicatif::ProgressBar>);

#[cfg(feature = "progress")]
impl ProgressBar {
    pub(crate) fn new(is_shown: bool, length: Option<usize>, message: impl Into<String>) -> Self {
        Self(is_shown.then(|| {
            let bar = match length {
                Some(length) => indicatif::ProgressBar::new(length as u64),
                None => indicatif::ProgressBar::new_spinner(),
            };
            let template = match length {
                Some(_) => "{msg} {wide_bar} {pos}/{len} {eta}",
                None => "{spinner} {msg} {pos}",
            };
            let style = indicatif::ProgressStyle::with_template(template);
            let bar = bar.with_message(message.into());
            if let Ok(style) = style { bar.with_style(style) } else { bar }
        }))
    }

    pub(crate) fn advance(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Shows the message, which is only made if there is a bar.
    pub(crate) fn say(&self, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_message(message());
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Nothing.
#[cfg(not(feature = "progress"))]
pub(crate) struct ProgressBar;

#[cfg(not(feature = "progress"))]
impl ProgressBar {
    pub(crate) fn new(_is_shown: bool, _length: Option<usize>, _message: impl Into<String>) -> Self {
        Self
    }

    pub(crate) fn advance(&self) {}

    pub(crate) fn say(&self, _message: impl FnOnce() -> String) {}

    pub(crate) fn finish(&self) {}
}
