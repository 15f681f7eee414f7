//! The thin end: what was typed becomes a job, what became of it becomes an exit code.

mod args;
mod batch;
mod check;
mod complain;
mod config;
mod exit;
mod expire;
mod hold;
mod incident;
mod init;
mod keys;
mod ledger;
mod open;
mod pipe;
mod plan;
mod register;
mod report;
mod risk;
mod run;
mod seals;
mod show;
mod state;
mod status;
mod subject;
mod verify;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use exit::Exit;

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    let color = args.color.on_stderr();
    let done = match args.command {
        Some(Command::Pipe(ref pipe)) => pipe::run(&args, pipe),
        Some(Command::Verify(ref verify)) => verify::run(&args, verify),
        Some(Command::Batch(ref typed)) => batch::run(&args, typed),
        Some(Command::Detect(ref detect)) => show::detect(&args, detect),
        Some(Command::Formats) => show::formats(&args),
        Some(Command::Policies(ref policies)) => show::policies(policies),
        Some(Command::Explain(ref explain)) if explain.risk => risk::run(&args, explain),
        Some(Command::Explain(ref explain)) => show::explain(&args, explain),
        Some(Command::Expire(ref typed)) => expire::run(&args, typed),
        Some(Command::Hold(ref typed)) => hold::run(&args, typed),
        Some(Command::Ledger(ref typed)) => ledger::run(&args, typed),
        Some(Command::Incident(ref typed)) => incident::run(&args, typed),
        Some(Command::Init(ref typed)) => init::run(&args, typed),
        Some(Command::Check(ref check)) => check::check(&args, check),
        Some(Command::Keys(ref typed)) => keys::run(&args, typed),
        Some(Command::Open(ref typed)) => open::run(&args, typed),
        Some(Command::Plan(ref typed)) => plan::run(&args, typed),
        Some(Command::Report(ref typed)) => status::run(&args, typed),
        Some(Command::Register(ref typed)) => register::run(&args, typed),
        Some(Command::Run(ref typed)) => run::run(&args, typed),
        Some(Command::Subject(ref typed)) => subject::run(&args, typed),
        Some(Command::Man { ref dir }) => show::man(dir.as_deref()),
        Some(Command::Completions { shell }) => show::completions(shell),
        None => show::start(&Args::command()),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(complaint) => {
            // Nobody can be told when standard error is gone.
            drop(complaint.print(color));
            complaint.exit.into()
        }
    }
}

/// The result of a command.
type Outcome = Result<Exit, complain::Complaint>;
