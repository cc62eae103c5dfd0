//! How a command is called, in one line, with the values that its options take.

use clap::{Arg, Command};
use clap_mangen::roff::{Inline, bold, italic, roman};

/// The synopsis of a command that is built.
pub(crate) fn of(command: &Command) -> Vec<Inline> {
    let mut line = vec![bold(command.get_bin_name().unwrap_or_else(|| command.get_name()))];
    let shown = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    let options = shown().filter(|argument| !argument.is_positional());
    for argument in options.chain(shown().filter(|argument| argument.is_positional())) {
        line.push(roman(" "));
        line.extend(bracketed(argument));
    }
    if command.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND")]);
    }
    line
}

fn bracketed(argument: &Arg) -> Vec<Inline> {
    let (open, close) = if argument.is_required_set() { ("", "") } else { ("[", "]") };
    let mut word = vec![roman(open)];
    word.extend(name(argument));
    if let Some(value) = value(argument) {
        word.extend([roman(if argument.is_positional() { "" } else { " " }), italic(value)]);
    }
    word.push(roman(close));
    if argument.is_positional() && is_many(argument) {
        word.push(roman("..."));
    }
    word
}

fn name(argument: &Arg) -> Vec<Inline> {
    let short = argument.get_short().map(|short| bold(format!("-{short}")));
    let long = argument.get_long().map(|long| bold(format!("--{long}")));
    match (short, long) {
        (Some(short), Some(long)) => vec![short, roman("|"), long],
        (short, long) => short.into_iter().chain(long).collect(),
    }
}

fn value(argument: &Arg) -> Option<String> {
    let takes_one = argument.get_num_args().is_some_and(|number| number.takes_values());
    let names = || match argument.get_value_names() {
        Some(names) => names.join(" "),
        None => argument.get_id().to_string(),
    };
    takes_one.then(names)
}

fn is_many(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|number| number.max_values() > 1)
        || matches!(argument.get_action(), clap::ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;
    use clap_mangen::roff::Roff;

    use super::*;

    #[test]
    fn values_stand_behind_their_options() {
        let mut command = Command::new("walk")
            .disable_help_flag(true)
            .arg(Arg::new("all").short('a').long("all").action(ArgAction::SetTrue))
            .arg(Arg::new("map").long("map").value_name("FILE"))
            .arg(Arg::new("pace").long("pace").required(true))
            .arg(Arg::new("secret").long("secret").hide(true))
            .arg(Arg::new("way").value_name("WAY").required(true))
            .arg(Arg::new("stops").value_name("STOP").action(ArgAction::Append))
            .subcommand(Command::new("on"));
        command.build();
        let mut roff = Roff::new();
        roff.text(of(&command));
        let text =
            roff.to_roff().replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "");
        assert_eq!(text.trim(), "walk [-a|--all] [--map FILE] --pace pace WAY [STOP]... COMMAND");
    }
}
