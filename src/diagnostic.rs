//! Errors in what the user wrote: cause, place with a caret, remedy.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// A fault in a policy, a configuration or a format string. Holds the user's own text, never log data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub cause: String,
    /// Name of the text: a path, or the option it came from.
    pub origin: String,
    /// The text.
    pub source: String,
    /// Bytes of the text that are at fault.
    pub span: Range<usize>,
    /// Said at the caret.
    pub label: String,
    /// What to do.
    pub remedy: String,
}

impl Diagnostic {
    /// The report, with or without colour.
    pub fn render(&self, color: bool) -> String {
        let end = self.source.len();
        let span = self.span.start.min(end)..self.span.end.min(end).max(self.span.start.min(end));
        let snippet = Snippet::source(self.source.as_str()).line_start(1).path(self.origin.as_str()).annotation(AnnotationKind::Primary.span(span).label(self.label.as_str()));
        let report: &[Group<'_>] = &[Level::ERROR.primary_title(self.cause.as_str()).element(snippet).element(Level::HELP.message(self.remedy.as_str()))];
        if color { Renderer::styled().render(report) } else { Renderer::plain().render(report) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostic {}
