//! Reads the lines of `_redirects`.

use super::super::finding::{Finding, Findings};
use super::super::lines::lines;
use super::super::pattern::{HostPattern, Names, PathPattern, decode, placeholders};
use super::super::template::{Place, Template};
use super::condition::Conditions;
use super::{
    Address, DYNAMIC_RULES_MAX, Parameter, REDIRECTS_BYTES_MAX, Rule, STATIC_RULES_MAX, To,
};

/// What a line comes to when it is left out: why, and what to write instead.
pub(super) struct Refusal {
    message: String,
    fix: &'static str,
    /// Whether leaving it out changes what a visitor gets.
    is_harmless: bool,
}

impl Refusal {
    fn of(message: impl Into<String>, fix: &'static str) -> Self {
        Self { message: message.into(), fix, is_harmless: false }
    }

    fn harmless(message: impl Into<String>, fix: &'static str) -> Self {
        Self { is_harmless: true, ..Self::of(message, fix) }
    }
}

/// The rules of a file that can be used.
pub(super) fn rules(file: &[u8], findings: &mut Findings) -> Vec<Rule> {
    let mut rules = Vec::new();
    let (mut literal, mut dynamic) = (0, 0);
    for (line, text) in lines(file, REDIRECTS_BYTES_MAX, findings) {
        let rule = match rule(line, text, findings) {
            Ok(rule) => rule,
            Err(Refusal { message, fix, is_harmless: true }) => {
                findings.without_effect(line, message, fix);
                continue;
            }
            Err(Refusal { message, fix, .. }) => {
                findings.skipped(line, message, fix);
                continue;
            }
        };
        let (count, max, kind) = match rule.path.literal() {
            Some(_) => (&mut literal, STATIC_RULES_MAX, "rules without `*` and `:names`"),
            None => (&mut dynamic, DYNAMIC_RULES_MAX, "rules with `*` or `:names`"),
        };
        *count += 1;
        if *count == max + 1 {
            let message = format!("there are more than {max} {kind}");
            findings.error(line, Finding::LIMIT, message, "join some of them into one with a `*`");
        }
        if *count <= max {
            rules.push(rule);
        }
    }
    rules
}

fn rule(line: u32, text: &str, findings: &mut Findings) -> Result<Rule, Refusal> {
    let words = text.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
    let mut words = words.peekable();
    let from = words.next().unwrap_or_default();
    let mut names = Names::default();
    let (host, path) = read_from(from, &mut names, line, findings)?;

    let mut parameters = Vec::new();
    while let Some(word) = words.next_if(|word| !is_destination(word) && word.contains('=')) {
        if is_condition(word) {
            return Err(Refusal::of(
                "a condition stands before the destination",
                "write conditions after the status: `/from /to 302 Language=en`",
            ));
        }
        parameters.push(read_parameter(word, &mut names)?);
    }
    let to = words.next_if(|word| is_destination(word));
    let status = words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let (status, is_forced) = read_status(status.unwrap_or("301"))?;
    let mut conditions = Conditions::default();
    for word in words {
        read_condition(word, &mut conditions)?;
    }
    let to = match (to, status) {
        (Some(to), 200 | 404 | 410) => To::File(read_file(to, &names)?),
        (Some(to), _) => To::Address(read_address(to, &names)?),
        (None, 404 | 410) => To::File(Template::parse("/404.html", &names, Place::Plain)),
        (None, _) => {
            return Err(Refusal::of(
                format!("`{from}` leads nowhere"),
                "write where it leads: `/from /to 301`",
            ));
        }
    };
    if let To::Address(Address { host: None, path: target, query: None, .. }) = &to
        && parameters.is_empty()
        && host.is_none()
        && conditions.is_empty()
        && let Some(own) = path.literal()
        && target.is_constant()
    {
        let mut written = String::new();
        target.write(&mut written, &super::Found::default());
        let bare = written.strip_suffix('/').unwrap_or(&written);
        if decode(bare).is_some_and(|target| target == own) {
            return Err(Refusal::harmless(
                "the rule only adds or removes a slash at the end, or nothing at all",
                "remove it: `/a/` leads to `/a` by itself",
            ));
        }
    }
    warn_of_names_without_meaning(text, &names, line, findings);
    Ok(Rule { line, host, path, parameters: parameters.into(), conditions, is_forced, status, to })
}

fn read_from(
    from: &str,
    names: &mut Names,
    line: u32,
    findings: &mut Findings,
) -> Result<(Option<HostPattern>, PathPattern), Refusal> {
    let without_scheme = from.strip_prefix("https://").or_else(|| from.strip_prefix("http://"));
    let (host, path) = match without_scheme {
        Some(rest) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = HostPattern::parse(host, names).map_err(|message| {
                Refusal::of(message, "write a host without a port: `https://example.org/* /:splat`")
            })?;
            (Some(host), if path.is_empty() { "/" } else { path })
        }
        None => (None, from),
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(Refusal::of(
            format!("`{from}` is neither a path nor a URL"),
            "write a path that starts with one `/`",
        ));
    }
    if path.contains('?') {
        return Err(Refusal::of(
            "the path has a query in it",
            "write parameters after the path: `/store id=:id /blog/:id`",
        ));
    }
    let path = match path.split_once('#') {
        Some((path, _)) => {
            let message = "a fragment never reaches the server; the rule applies without it";
            findings.without_effect(line, message, "remove what follows the `#`");
            path
        }
        None => path,
    };
    let path = PathPattern::parse(path, names).map_err(|message| {
        Refusal::of(message, "write one `*` at the end and at most one `:name` in a segment")
    })?;
    Ok((host, path))
}

fn is_destination(word: &str) -> bool {
    word.starts_with('/') || word.contains("://")
}

const CONDITIONS: [&str; 4] = ["language", "cookie", "country", "role"];

fn is_condition(word: &str) -> bool {
    // Parameters are spelled as the author likes; conditions start with a capital.
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && CONDITIONS.contains(&&*name.to_ascii_lowercase())
    })
}

fn read_parameter(word: &str, names: &mut Names) -> Result<(Box<str>, Parameter), Refusal> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let broken = || {
        Refusal::of(
            format!("`{word}` is not a parameter with a value or a `:name`"),
            "write `id=:id`, or `id=7` for one value only",
        )
    };
    let decoded = super::form_decode(name).filter(|name| !name.is_empty()).ok_or_else(broken)?;
    let mut named = placeholders(value);
    let parameter = match named.next() {
        Some((0, name)) if name.len() + 1 == value.len() => Parameter::Named(
            names.add(name).map_err(|message| Refusal::of(message, "use another name"))?,
        ),
        Some(_) => return Err(broken()),
        None => Parameter::Is(super::form_decode(value).ok_or_else(broken)?.into()),
    };
    Ok((decoded.into(), parameter))
}

fn read_status(word: &str) -> Result<(u16, bool), Refusal> {
    let (digits, is_forced) = match word.strip_suffix('!') {
        Some(digits) => (digits, true),
        None => (word, false),
    };
    match digits.parse() {
        Ok(status @ (200 | 301 | 302 | 303 | 307 | 308 | 404 | 410)) => Ok((status, is_forced)),
        _ => Err(Refusal::of(
            format!("`{word}` is not a status that a rule can have"),
            "write 301, 302, 303, 307, 308, 200, 404 or 410, with `!` to win over files",
        )),
    }
}

fn read_condition(word: &str, conditions: &mut Conditions) -> Result<(), Refusal> {
    let (name, list) = word.split_once('=').unwrap_or((word, ""));
    let values: Box<[Box<str>]> =
        list.split(',').filter(|value| !value.is_empty()).map(Into::into).collect();
    if values.is_empty() {
        return Err(Refusal::of(
            format!("`{word}` is not understood"),
            "write `from to status`, then conditions such as `Language=en,fr`",
        ));
    }
    match &*name.to_ascii_lowercase() {
        "language" => conditions.languages = values,
        "cookie" => conditions.cookies = values,
        "country" => {
            return Err(Refusal::of(
                "nobody here knows the country of a visitor, so the rule can never apply",
                "use `Language=`, or leave the choice to the page",
            ));
        }
        "role" => {
            return Err(Refusal::of(
                "visitors have no roles here, so the rule can never apply",
                "put what only some may see below `private/`",
            ));
        }
        _ => {
            return Err(Refusal::of(
                format!("there is no condition `{name}`"),
                "use `Language=` or `Cookie=`",
            ));
        }
    }
    Ok(())
}

/// A path of the site that a rule answers with.
fn read_file(to: &str, names: &Names) -> Result<Template, Refusal> {
    if to.contains("://") {
        return Err(Refusal::of(
            "fazt does not fetch pages of other hosts",
            "redirect with 302 instead of 200",
        ));
    }
    if to.starts_with("//") {
        return Err(same_host());
    }
    let path = to.split(['?', '#']).next().unwrap_or_default();
    let decoded = decode(path)
        .filter(|path| !path.contains(['\\', '\0']))
        .ok_or_else(|| Refusal::of(format!("`{to}` has a broken escape"), "write `%25` for `%`"))?;
    Ok(Template::parse(&decoded, names, Place::Plain))
}

fn same_host() -> Refusal {
    Refusal::of("a destination with two slashes names another host", "write `https://…`")
}

fn read_address(to: &str, names: &Names) -> Result<Address, Refusal> {
    if to.starts_with("//") {
        return Err(same_host());
    }
    let (origin, rest) = match to.split_once("://") {
        Some(("http" | "https", rest)) if !to.starts_with('/') => {
            let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            to.split_at(to.len() - rest.len() + host_end)
        }
        _ if to.starts_with('/') => ("", to),
        _ => {
            return Err(Refusal::of(
                format!("`{to}` is neither a path nor an `https` URL"),
                "write `/path` or `https://host/path`",
            ));
        }
    };
    let host = match origin.split_once("://") {
        Some((_, authority)) => Some(read_authority(authority)?),
        None => None,
    };
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (rest, None),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    if decode(path).is_none() {
        return Err(Refusal::of(format!("`{to}` has a broken escape"), "write `%25` for `%`"));
    }
    Ok(Address {
        origin: origin.into(),
        host,
        path: Template::parse(path, names, Place::Path),
        query: query.map(|query| Template::parse(query, names, Place::Query)),
        fragment: fragment.map(|fragment| Template::parse(fragment, names, Place::Query)),
    })
}

/// The host of an authority. A visitor must not choose where a rule leads, so nothing in it may come
/// from the request.
fn read_authority(authority: &str) -> Result<Box<str>, Refusal> {
    if placeholders(authority).next().is_some() {
        return Err(Refusal::of(
            "a visitor would choose the host of the destination",
            "write one rule for each host",
        ));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_host = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_host || !is_port {
        return Err(Refusal::of(
            format!("`{authority}` is not a host"),
            "write a name without user and password, in its ASCII form",
        ));
    }
    Ok(host.to_ascii_lowercase().into())
}

/// A `:name` that looks like a placeholder and that nothing gives.
fn warn_of_names_without_meaning(text: &str, names: &Names, line: u32, findings: &mut Findings) {
    for (at, name) in placeholders(text) {
        let starts = text[..at].ends_with(['/', '=', '-', '_', '.']);
        if starts && names.find(name).is_none() {
            let message =
                format!("nothing in the path is called `:{name}`; it is sent as it stands");
            findings.without_effect(line, message, "name a part of the path like that");
        }
    }
}
