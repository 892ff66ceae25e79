//! Reads the lines of `_headers`.

use super::super::finding::{Finding, Findings};
use super::super::lines::lines;
use super::super::pattern::{HostPattern, Names, PathPattern};
use super::super::template::{Place, Template};
use super::{FIELDS_BYTES_MAX, HEADER_RULES_MAX, HEADERS_BYTES_MAX, Line, Rule};

/// The rule that lines are read for.
enum Open {
    /// There was none yet.
    Nothing,
    /// One that is left out, and its headers with it.
    LeftOut,
    Rule {
        rule: Rule,
        names: Names,
        line: u32,
        /// Whether there were lines for it, also such as are left out.
        has_headers: bool,
    },
}

/// The rules of a file that can be used.
pub(super) fn rules(file: &[u8], findings: &mut Findings) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut open = Open::Nothing;
    let mut count = 0;
    for (line, text) in lines(file, HEADERS_BYTES_MAX, findings) {
        if !opens_rule(text) {
            read_header(line, text, &mut open, findings);
            continue;
        }
        close(open, &mut rules, findings);
        open = Open::LeftOut;
        count += 1;
        if count == HEADER_RULES_MAX + 1 {
            let message = format!("there are more than {HEADER_RULES_MAX} rules");
            findings.error(line, Finding::LIMIT, message, "join some of them into one with a `*`");
        }
        if count > HEADER_RULES_MAX {
            continue;
        }
        let mut names = Names::default();
        match read_address(text, &mut names) {
            Ok((host, path)) => {
                let rule = Rule { host, path, lines: Vec::new() };
                open = Open::Rule { rule, names, line, has_headers: false };
            }
            Err((message, fix)) => findings.skipped(line, message, fix),
        }
    }
    close(open, &mut rules, findings);
    rules
}

fn opens_rule(text: &str) -> bool {
    text.starts_with('/') || text.starts_with("https://") || text.starts_with("http://")
}

fn close(open: Open, rules: &mut Vec<Rule>, findings: &mut Findings) {
    let Open::Rule { rule, line, has_headers, .. } = open else {
        return;
    };
    if rule.lines.is_empty() {
        if has_headers {
            // Each of them was said to be left out.
            return;
        }
        let fix = "write its headers on the lines below it, as `  Name: value`";
        findings.without_effect(line, "the rule has no headers", fix);
        return;
    }
    let bytes: usize = rule.lines.iter().map(bytes).sum();
    if bytes > FIELDS_BYTES_MAX {
        let message = format!("the rule has {bytes} bytes of headers, {FIELDS_BYTES_MAX} are sent");
        findings.error(
            line,
            Finding::LIMIT,
            message,
            "shorten it; clients would refuse the answer",
        );
    }
    rules.push(rule);
}

fn bytes(line: &Line) -> usize {
    match line {
        Line::Set(name, value) => name.len() + value.text_bytes(),
        Line::Detach(_) => 0,
    }
}

type Refusal = (String, &'static str);

fn read_address(
    text: &str,
    names: &mut Names,
) -> Result<(Option<HostPattern>, PathPattern), Refusal> {
    if text.contains(char::is_whitespace) {
        let fix = "write one path or URL on the line, and the headers below it";
        return Err((format!("`{text}` has spaces in it"), fix));
    }
    let without_scheme = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let (host, path) = match without_scheme {
        Some(rest) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = HostPattern::parse(host, names).map_err(|message| {
                (message, "write a host without a port: `https://example.org/*`")
            })?;
            (Some(host), if path.is_empty() { "/" } else { path })
        }
        None => (None, text),
    };
    if path.contains(['?', '#']) {
        let fix = "write the path alone";
        return Err((format!("`{text}` has a query or a fragment; rules go by path"), fix));
    }
    let fix = "write one `*` and at most one `:name` in a segment";
    let path = PathPattern::parse(path, names).map_err(|message| (message, fix))?;
    Ok((host, path))
}

fn read_header(line: u32, text: &str, open: &mut Open, findings: &mut Findings) {
    let (rule, names) = match open {
        Open::Rule { rule, names, has_headers, .. } => {
            *has_headers = true;
            (rule, names)
        }
        Open::LeftOut => return,
        Open::Nothing => {
            let fix = "write a path such as `/*` above it";
            findings.skipped(line, "the header belongs to no path", fix);
            return;
        }
    };
    let (name, value) = match (text.strip_prefix('!'), text.split_once(':')) {
        (Some(name), _) => (name.trim(), None),
        (None, Some((name, value))) => (name.trim(), Some(value.trim())),
        (None, None) => {
            findings.skipped(line, format!("`{text}` is not a header"), "write `Name: value`");
            return;
        }
    };
    let name = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_token) {
        let fix = "use letters, digits and `-`";
        findings.skipped(line, format!("`{name}` is not the name of a header"), fix);
        return;
    }
    if let Some((why, fix)) = forbidden(&name) {
        findings.skipped(line, format!("a rule cannot set `{name}`: {why}"), fix);
        return;
    }
    let Some(value) = value else {
        if name == "content-type" {
            let fix = "set another type instead";
            findings.skipped(line, "every answer has a `content-type`", fix);
            return;
        }
        rule.lines.push(Line::Detach(name.into()));
        return;
    };
    if value.is_empty() {
        let fix = "write a value, or `! Name` to leave the header out";
        findings.skipped(line, format!("`{name}` has no value"), fix);
        return;
    }
    if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        let fix = "percent-encode what is not ASCII";
        findings.skipped(line, format!("the value of `{name}` is not plain ASCII"), fix);
        return;
    }
    if name == "service-worker-allowed" && value.starts_with("/_fazt") {
        let fix = "choose a path of the site";
        findings.skipped(line, "what lies below `/_fazt/` belongs to the node", fix);
        return;
    }
    rule.lines.push(Line::Set(name.into(), Template::parse(value, names, Place::Value)));
}

/// `tchar` (RFC 9110 §5.6.2), in lower case.
pub(super) fn is_token(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z') || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Why a rule may not set a header, and what to do instead.
fn forbidden(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "connection"
        | "keep-alive"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade"
        | "http2-settings" => ("it belongs to the connection, not to a file", "remove the line"),
        "content-length" | "content-encoding" | "content-range" | "accept-ranges" | "age"
        | "allow" | "date" | "etag" | "server" | "via" => {
            ("it describes what is sent, and the node knows that", "remove the line")
        }
        "location" => ("redirects have their own file", "write the redirect into `_redirects`"),
        "set-cookie" | "set-cookie2" => {
            ("caches would hand the same cookie to all visitors", "set cookies in server code")
        }
        "strict-transport-security" | "alt-svc" => {
            ("whether and where a host has TLS is for the node to say", "remove the line")
        }
        "basic-auth" => (
            "it would be sent to everybody, with the password",
            "put what only some may see below `private/`",
        ),
        _ => return None,
    })
}
