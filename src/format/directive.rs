//! The languages in which a layout is written: nginx `log_format`, Apache `LogFormat`, and the braces of the named formats.

use super::layout::Piece;
use super::span::Slot;
use super::{Field, variables};
use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_till, take_while, take_while1},
    character::complete::{anychar, char, none_of, one_of},
    combinator::{map, opt, recognize, value},
    multi::{many0, separated_list1},
    sequence::{delimited, preceded, terminated},
};

/// What is wrong with a format string, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectiveError {
    /// Offset in the string.
    pub at: usize,
    /// What is wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

type Pieces<'a> = IResult<&'a str, Vec<Piece>>;

fn slot((field, name): (Field, Option<String>)) -> Piece {
    Piece::Slot(Slot { field, name: name.unwrap_or_default().into() })
}

/// Where policies decide by name, a slot has a name only if it is one header, cookie or parameter.
const fn shown(field: Field, name: &str) -> &str {
    if matches!(field, Field::Cookie | Field::Query | Field::Header) { "" } else { name }
}

fn literal(text: &str) -> Piece {
    Piece::Literal(text.as_bytes().to_vec())
}

fn whole(text: &str, parsed: Pieces<'_>, cause: &'static str, remedy: &'static str) -> Result<Vec<Piece>, DirectiveError> {
    match parsed {
        Ok(("", pieces)) => Ok(pieces),
        Ok((rest, _)) => Err(DirectiveError { at: text.len() - rest.len(), cause, remedy }),
        Err(_) => Err(DirectiveError { at: 0, cause, remedy }),
    }
}

/// The dialect of the named formats: `{field}`, `{field:name}`, `{{` for a brace.
pub fn braces(text: &str) -> Result<Vec<Piece>, DirectiveError> {
    // slot = "{" field [ ":" name ] "}"
    fn one(input: &str) -> IResult<&str, Piece> {
        let (rest, (name, argument)) =
            delimited(char('{'), (take_while1(|c: char| c.is_ascii_lowercase() || c == '_'), opt(preceded(char(':'), take_till(|c| c == '}')))), char('}')).parse(input)?;
        let field = Field::named(name).ok_or_else(|| nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Tag)))?;
        Ok((rest, slot((field, argument.map(str::to_owned)))))
    }
    let parsed = many0(alt((value(literal("{"), tag("{{")), one, map(recognize(take_while1(|c| c != '{')), literal)))).parse(text);
    whole(text, parsed, "this is no field in braces", "write {field} or {field:name}, and {{ for a brace")
}

/// nginx: `$name`, `${name}`; everything else is literal. Source: `ngx_http_log_module`.
/// A whole `log_format name escape=json '…' '…';` is understood as well.
pub fn nginx(text: &str) -> Result<Vec<Piece>, DirectiveError> {
    // statement = "log_format" name [ "escape=" word ] quoted+ ";"
    fn statement(input: &str) -> IResult<&str, String> {
        let blank = || take_while1(|c: char| c.is_whitespace());
        let single = delimited(char('\''), take_till(|c| c == '\''), char('\''));
        let double = delimited(char('"'), take_till(|c| c == '"'), char('"'));
        let (input, _) = (tag("log_format"), blank(), take_while1(|c: char| !c.is_whitespace()), blank(), opt((escape, blank()))).parse(input)?;
        let (input, parts) = separated_list1(take_while(|c: char| c.is_whitespace()), alt((single, double))).parse(input)?;
        let (input, _) = (take_while(|c: char| c.is_whitespace()), opt(char(';')), take_while(|c: char| c.is_whitespace())).parse(input)?;
        Ok((input, parts.concat()))
    }
    fn escape(input: &str) -> IResult<&str, &str> {
        preceded(tag("escape="), alt((tag("default"), tag("json"), tag("none")))).parse(input)
    }
    // variable = "$" ( name | "{" name "}" )
    fn variable(input: &str) -> IResult<&str, Piece> {
        let name = || take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_');
        map(preceded(char('$'), alt((delimited(char('{'), name(), char('}')), name()))), |name| {
            let (field, argument) = variables::nginx(name);
            Piece::Slot(Slot { field, name: argument.unwrap_or_else(|| shown(field, name)).into() })
        })
        .parse(input)
    }
    const REMEDY: &str = "write $name or ${name}, as in nginx's log_format";
    let trimmed = text.trim_start();
    if trimmed.starts_with("log_format ") {
        let Ok(("", format)) = statement(trimmed) else {
            return Err(DirectiveError { at: 0, cause: "this is no whole log_format statement", remedy: "write log_format NAME '…';, or only the string between the quotes" });
        };
        return nginx(&format);
    }
    let body = match terminated(escape, char(' ')).parse(text) {
        Ok((rest, _)) => rest,
        Err(_) => text,
    };
    let shift = text.len() - body.len();
    let parsed = many0(alt((variable, map(take_while1(|c| c != '$'), literal)))).parse(body);
    whole(body, parsed, "this is no variable", REMEDY).map_err(|error| DirectiveError { at: error.at + shift, ..error })
}

/// Apache: `%[modifiers][{argument}]letter`, `%%`, `\"`, `\n`, `\t`, `\\`. Source: `mod_log_config`, "Custom Log Formats".
pub fn apache(text: &str) -> Result<Vec<Piece>, DirectiveError> {
    // directive = "%" [ "!" ] [ status *( "," status ) ] [ "<" | ">" ] [ "{" argument "}" ] ( "^" 2letter | letter )
    fn one(input: &str) -> IResult<&str, Vec<Piece>> {
        let status = take_while(|c: char| c.is_ascii_digit() || c == ',');
        let argument = || delimited(char('{'), take_till(|c| c == '}'), char('}'));
        let side = || many0(one_of("<>"));
        let letters = alt((recognize((char('^'), anychar, anychar)), recognize(none_of(" \"%{}"))));
        let (rest, (_, _, _, _, argument, _, letters)) = (char('%'), opt(char('!')), status, side(), opt(argument()), side(), letters).parse(input)?;
        let (field, name) = variables::apache(letters, argument);
        let name = name.unwrap_or_else(|| shown(field, argument.unwrap_or(letters)).to_owned());
        let slot = Piece::Slot(Slot { field, name: name.into() });
        // Without an argument the time stands in brackets of its own.
        let bracketed = letters == "t" && argument.is_none_or(|argument| argument.is_empty());
        Ok((rest, if bracketed { vec![literal("["), slot, literal("]")] } else { vec![slot] }))
    }
    let escaped = alt((value("\"", tag("\\\"")), value("\n", tag("\\n")), value("\t", tag("\\t")), value("\\", tag("\\\\")), value("%", tag("%%"))));
    let plain = alt((map(escaped, |text| vec![literal(text)]), one, map(take_while1(|c| c != '%' && c != '\\'), |text| vec![literal(text)])));
    let parsed = map(many0(plain), |groups| joined(groups.concat())).parse(text);
    whole(text, parsed, "this is no directive", "write %h, %>s, %{Referer}i … as in Apache's LogFormat, and %% for a percent sign")
}

/// `%U%q`: a path, and behind it a query with its mark or nothing, are one URL.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), &piece) {
            (Some(Piece::Slot(path)), Piece::Slot(query)) if path.field == Field::Path && query.field == Field::Query => path.field = Field::Url,
            _ => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pieces: Result<Vec<Piece>, DirectiveError>) -> String {
        let show = |piece: &Piece| match piece {
            Piece::Literal(text) => String::from_utf8_lossy(text).into_owned(),
            Piece::Slot(slot) => format!("<{}>", slot.field.name()),
        };
        pieces.map_or_else(|error| format!("{error:?}"), |pieces| pieces.iter().map(show).collect())
    }

    const COMBINED: &str = r#"<client_addr> - <user> [<time>] "<request>" <status> <bytes> "<referrer>" "<user_agent>""#;

    #[test]
    fn the_three_languages_say_the_same() {
        let nginx_text = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "${http_user_agent}""#;
        assert_eq!(show(nginx(nginx_text)), COMBINED);
        assert_eq!(show(nginx(&format!("log_format main '{nginx_text}';"))), COMBINED);
        assert_eq!(show(nginx(&format!("escape=json {nginx_text}"))), COMBINED);
        assert_eq!(show(apache(r#"%h - %u %t \"%r\" %>s %b \"%{Referer}i\" "%!200,304{User-agent}i""#)), COMBINED);
        assert_eq!(show(apache(r#"%h "%m %U%q %H" %>s"#)), r#"<client_addr> "<method> <url> <protocol>" <status>"#);
        assert_eq!(show(braces(r#"{client_addr} - {user} [{time}] "{request}" {status} {bytes} "{referrer}" "{user_agent}""#)), COMBINED);
    }

    #[test]
    fn a_fault_is_shown_where_it_is() {
        assert_eq!(nginx("$remote_addr $ x").map_err(|error| error.at), Err(13));
        assert_eq!(apache("%h %").map_err(|error| error.at), Err(3));
        assert_eq!(braces("{client_addr} {nothing}").map_err(|error| error.at), Err(14));
    }
}
