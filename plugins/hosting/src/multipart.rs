//! Reads `multipart/form-data` (RFC 7578, RFC 2046 §5.1) strictly, in bounded memory.
//!
//! What browsers, curl and HTTP libraries send is accepted. Text before the first boundary, text
//! after the last, folded header lines and transfer encodings are refused: no client needs them, and
//! two readers could see two forms in them.

use fazt_sdk::http::BodySource;
use fazt_sdk::{Error, Result};

/// The most parts of a form.
pub(crate) const PARTS_MAX: u32 = 16;
/// The most bytes of the headers of one part.
pub(crate) const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The longest boundary, in bytes (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// The longest name of a field, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A form on its way in.
pub(crate) struct Multipart<S> {
    body: S,
    /// What arrived and was not handed out.
    buffer: Vec<u8>,
    /// How much of `buffer` was handed out.
    taken: usize,
    /// `CRLF--boundary`.
    delimiter: Vec<u8>,
    place: Place,
    parts: u32,
    /// Bytes of the body so far.
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a delimiter.
    Between,
    /// In the content of a part.
    Content,
    /// After the last delimiter.
    End,
}

/// The headers of a part that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartHead {
    /// The field.
    pub(crate) name: String,
    /// Whether the client says that it is a file.
    pub(crate) is_file: bool,
}

/// The boundary of a `content-type`; nothing when it is another type.
///
/// # Errors
/// `Invalid` for a form without a usable boundary.
pub(crate) fn boundary(content_type: &str) -> Result<Option<String>> {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let mut found = None;
    for (name, value) in Parameters(parameters) {
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(malformed("the content type has two boundaries"));
        }
    }
    let is_usable = |boundary: &String| {
        !boundary.is_empty()
            && boundary.len() <= BOUNDARY_BYTES_MAX
            && !boundary.ends_with(' ')
            && boundary
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte))
    };
    match found.filter(is_usable) {
        Some(boundary) => Ok(Some(boundary)),
        None => Err(malformed("the content type names no usable boundary")),
    }
}

impl<S: BodySource> Multipart<S> {
    /// A form in `body`, of at most `bytes_max` bytes in all.
    pub(crate) fn new(body: S, boundary: &str, bytes_max: u64) -> Self {
        Self {
            body,
            // The first delimiter has no line before it: with this it looks like the others.
            buffer: b"\r\n".to_vec(),
            taken: 0,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            place: Place::Between,
            parts: 0,
            bytes: 0,
            bytes_max,
        }
    }

    /// The next part; nothing after the last. What is left of the part before is an error: read it.
    ///
    /// # Errors
    /// `Invalid` for a malformed form, `TooLarge` past a limit, what the transport says.
    pub(crate) async fn next_part(&mut self) -> Result<Option<PartHead>> {
        if self.place != Place::Between {
            return Ok(None);
        }
        self.need(self.delimiter.len() + 2).await?;
        if !self.rest().starts_with(&self.delimiter) {
            return Err(malformed("it does not start with its boundary"));
        }
        self.taken += self.delimiter.len();
        if self.rest().starts_with(b"--") {
            self.taken += 2;
            return self.end().await.map(|()| None);
        }
        // Transport padding, RFC 2046 §5.1.1.
        while self.rest().first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            self.taken += 1;
            self.need(2).await?;
        }
        if !self.rest().starts_with(b"\r\n") {
            return Err(malformed("a boundary is not at the end of its line"));
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(Error::too_large(format!("the form has more than {PARTS_MAX} parts"))
                .with_code("FORM_TOO_LARGE"));
        }
        let end = loop {
            match find(self.rest(), b"\r\n\r\n") {
                Some(end) if end <= HEADER_BYTES_MAX => break end,
                None if self.rest().len() <= HEADER_BYTES_MAX => self.more().await?,
                Some(_) | None => {
                    return Err(Error::too_large(format!(
                        "the headers of a part are longer than {HEADER_BYTES_MAX} bytes"
                    ))
                    .with_code("FORM_TOO_LARGE"));
                }
            }
        };
        let head = part_head(&self.rest()[..end])?;
        self.taken += end + 4;
        self.place = Place::Content;
        Ok(Some(head))
    }

    /// The next bytes of the part's content; nothing at its end.
    ///
    /// # Errors
    /// As [`Self::next_part`].
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<&[u8]>> {
        if self.place != Place::Content {
            return Ok(None);
        }
        loop {
            let len = match find(self.rest(), &self.delimiter) {
                Some(0) => {
                    self.place = Place::Between;
                    return Ok(None);
                }
                Some(at) => at,
                // The end may be the start of a delimiter.
                None => self.rest().len().saturating_sub(self.delimiter.len() - 1),
            };
            if len > 0 {
                let start = self.taken;
                self.taken += len;
                return Ok(Some(&self.buffer[start..start + len]));
            }
            self.more().await?;
        }
    }

    /// The content of the part, as text.
    ///
    /// # Errors
    /// As [`Self::next_part`]; `TooLarge` past `bytes_max`, `Invalid` when it is not UTF-8.
    pub(crate) async fn text(&mut self, name: &str, bytes_max: usize) -> Result<String> {
        let mut content = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            if content.len() + chunk.len() > bytes_max {
                return Err(Error::too_large(format!(
                    "the field `{name}` is longer than {bytes_max} bytes"
                ))
                .with_code("FORM_TOO_LARGE"));
            }
            content.extend_from_slice(chunk);
        }
        String::from_utf8(content)
            .map_err(|_| malformed(&format!("the field `{name}` is not UTF-8")))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Waits until `bytes` are there.
    async fn need(&mut self, bytes: usize) -> Result<()> {
        while self.rest().len() < bytes {
            self.more().await?;
        }
        Ok(())
    }

    /// Waits for the next chunk of the body.
    async fn more(&mut self) -> Result<()> {
        let Some(chunk) = self.body.next().await else {
            return Err(malformed("it ends before its last boundary"));
        };
        let chunk = chunk?;
        self.count(chunk.len())?;
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes as u64;
        if self.bytes > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        Ok(())
    }

    /// Only a line end may follow the last delimiter.
    async fn end(&mut self) -> Result<()> {
        self.place = Place::End;
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            self.count(chunk.len())?;
            self.buffer.extend_from_slice(&chunk);
            if self.rest().len() > 2 {
                break;
            }
        }
        match self.rest() {
            b"" | b"\r\n" => Ok(()),
            _ => Err(malformed("something follows its last boundary")),
        }
    }
}

/// Over the limit on uploads.
pub(crate) fn too_large(bytes_max: u64) -> Error {
    Error::too_large(format!(
        "the upload is larger than {bytes_max} bytes, the limit `hosting.upload_bytes_max`"
    ))
    .with_code("UPLOAD_TOO_LARGE")
}

fn malformed(what: &str) -> Error {
    Error::invalid(format!("the form cannot be read: {what}")).with_code("FORM_MALFORMED")
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        from += text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text[from..].starts_with(wanted) {
            return Some(from);
        }
        from += 1;
    }
}

/// Parses the header lines of a part, each after its line end.
fn part_head(lines: &[u8]) -> Result<PartHead> {
    let lines = std::str::from_utf8(lines).map_err(|_| malformed("a header is not UTF-8"))?;
    let mut head = None;
    for line in lines.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) =
            line.split_once(':').ok_or_else(|| malformed("a header line has no colon"))?;
        let is_token = !name.is_empty() && name.bytes().all(is_token);
        if !is_token || value.contains(char::is_control) {
            return Err(malformed("a header line is none"));
        }
        if name.eq_ignore_ascii_case("content-transfer-encoding") {
            return Err(malformed("a part has a transfer encoding (RFC 7578 §4.7)"));
        }
        if name.eq_ignore_ascii_case("content-disposition")
            && head.replace(disposition(value)?).is_some()
        {
            return Err(malformed("a part has two dispositions"));
        }
    }
    head.ok_or_else(|| malformed("a part has no name"))
}

/// Parses `form-data; name="…"; filename="…"` (RFC 7578 §4.2).
fn disposition(value: &str) -> Result<PartHead> {
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(malformed("a part is no form data"));
    }
    let (mut field, mut is_file) = (None, false);
    for (name, value) in Parameters(parameters) {
        match name.to_ascii_lowercase().as_str() {
            "name" if field.is_some() => return Err(malformed("a part has two names")),
            "name" => field = Some(value),
            "filename" | "filename*" => is_file = true,
            _ => {}
        }
    }
    let name = field.filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX);
    let name = name.ok_or_else(|| malformed("a part has no name that can be used"))?;
    Ok(PartHead { name, is_file })
}

fn is_token(byte: u8) -> bool {
    // RFC 9110 §5.6.2
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Parameters of a header value: `a=b; c="d\"e"`. Ends early where one cannot be read.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches([' ', '\t', ';']);
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            None => {
                let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                (value.trim_end().to_owned(), rest)
            }
            Some(quoted) => {
                let (mut value, mut is_escaped, mut end) = (String::new(), false, None);
                for (at, char) in quoted.char_indices() {
                    match char {
                        _ if is_escaped => {
                            value.push(char);
                            is_escaped = false;
                        }
                        '\\' => is_escaped = true,
                        '"' => {
                            end = Some(at + 1);
                            break;
                        }
                        _ => value.push(char),
                    }
                }
                (value, &quoted[end?..])
            }
        };
        self.0 = rest;
        Some((name.trim(), value))
    }
}

#[cfg(test)]
mod tests;
