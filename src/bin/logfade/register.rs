//! `logfade register`: the record of processing, from the configuration.

use crate::args::{Args, As, Register as Typed};
use crate::show::say;
use crate::{Outcome, complain, config};
use logfade::report::register::{Register, html, markdown};

/// Prints the record.
pub(crate) fn run(args: &Args, typed: &Typed) -> Outcome {
    let register = Register::of(&config::required(args)?);
    let form = typed.form.unwrap_or(if args.json { As::Json } else { As::Md });
    match form {
        As::Md => say(&markdown(&register)),
        As::Html => say(&html(&register)),
        As::Json => {
            let text = serde_json::to_string_pretty(&register).map_err(|error| complain::output(error.into()))?;
            say(&format!("{text}\n"))
        }
    }
}
