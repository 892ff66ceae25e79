//! A file as a body that streams, alone or in a form (RFC 7578), and tells how far it is.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::failure::Failure;
use crate::output::Progress;
use crate::transport::Body;

/// A file on its way, alone or as part of a form.
pub(crate) struct Upload {
    content_type: String,
    head: Bytes,
    file: File,
    tail: Bytes,
    /// What is still to be sent, of all.
    left_bytes: u64,
    total_bytes: u64,
    /// What is still to be sent of the file.
    file_left_bytes: u64,
    progress: Option<Progress>,
}

impl Upload {
    /// The file alone; `progress` starts a progress line.
    pub(crate) fn whole(
        file: File,
        progress: impl FnOnce(u64) -> Progress,
    ) -> Result<Self, Failure> {
        Self::framed(
            "application/octet-stream".to_owned(),
            String::new(),
            file,
            String::new(),
            progress,
        )
    }

    /// The first `size_bytes` of a file, without a progress line.
    pub(crate) fn part(file: File, size_bytes: u64) -> Self {
        Self {
            content_type: String::new(),
            head: Bytes::new(),
            file,
            tail: Bytes::new(),
            left_bytes: size_bytes,
            total_bytes: size_bytes,
            file_left_bytes: size_bytes,
            progress: None,
        }
    }

    /// A form with these fields, and `file` as `file`; `progress` starts a progress line.
    pub(crate) fn form(
        fields: &[(&str, &str)],
        file_name: &str,
        file: File,
        progress: impl FnOnce(u64) -> Progress,
    ) -> Result<Self, Failure> {
        // 128 random bits: nobody can write a file that holds the boundary of its own upload.
        let random = || RandomState::new().build_hasher().finish();
        let boundary = format!("fazt-{:016x}{:016x}", random(), random());
        let mut head = String::new();
        for (name, value) in fields {
            head.extend([
                &*format!("--{boundary}\r\n"),
                &*format!("content-disposition: form-data; name=\"{name}\"\r\n\r\n"),
                value,
                "\r\n",
            ]);
        }
        let file_name: String = file_name
            .chars()
            .map(|letter| if letter == '"' || letter.is_control() { '_' } else { letter })
            .collect();
        head.extend([
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; "),
            format!("filename=\"{file_name}\"\r\ncontent-type: application/zip\r\n\r\n"),
        ]);
        let tail = format!("\r\n--{boundary}--\r\n");
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Self::framed(content_type, head, file, tail, progress)
    }

    fn framed(
        content_type: String,
        head: String,
        file: File,
        tail: String,
        progress: impl FnOnce(u64) -> Progress,
    ) -> Result<Self, Failure> {
        let file_len = file
            .metadata()
            .map_err(|error| Failure::failed(format!("the file cannot be read: {error}")))?
            .len();
        let total_bytes = head.len() as u64 + file_len + tail.len() as u64;
        Ok(Self {
            content_type,
            head: Bytes::from(head),
            file,
            tail: Bytes::from(tail),
            left_bytes: total_bytes,
            total_bytes,
            file_left_bytes: file_len,
            progress: Some(progress(total_bytes)),
        })
    }

    /// The type of the body.
    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The body.
    pub(crate) fn into_body(self) -> Body {
        Body::new(self)
    }

    fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        if !self.head.is_empty() {
            return Some(Ok(std::mem::take(&mut self.head)));
        }
        if self.file_left_bytes > 0 {
            let wanted = usize::try_from(self.file_left_bytes).unwrap_or(usize::MAX);
            let mut chunk = vec![0; wanted.min(CHUNK_BYTES)];
            return Some(match self.file.read_exact(&mut chunk) {
                Ok(()) => {
                    self.file_left_bytes -= chunk.len() as u64;
                    Ok(Bytes::from(chunk))
                }
                Err(error) => Err(Failure::failed(format!("the file cannot be read: {error}"))),
            });
        }
        (!self.tail.is_empty()).then(|| Ok(std::mem::take(&mut self.tail)))
    }
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = Failure;

    // Reading a local file blocks, and nothing else waits for this thread while it does.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let next = self.next();
        match &next {
            Some(Ok(chunk)) => {
                self.left_bytes -= chunk.len() as u64;
                let done = self.total_bytes - self.left_bytes;
                if let Some(progress) = &mut self.progress {
                    progress.at(done);
                }
            }
            // The line goes away when all is sent, also while the answer is awaited.
            Some(Err(_)) | None => self.progress = None,
        }
        Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

/// Files are sent in pieces of this size.
const CHUNK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;
    use crate::output::{Output, Terminal};

    #[tokio::test]
    async fn the_form_is_whole_and_as_long_as_it_says() {
        let mut file = tempfile::tempfile().unwrap();
        let content = vec![7; CHUNK_BYTES * 2 + 5];
        file.write_all(&content).unwrap();
        file.rewind().unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let output = Output::new(&mut out, &mut err, Terminal::NONE);
        let fields = [("site_name", "blog"), ("spa", "true")];
        let upload =
            Upload::form(&fields, "a\"b.zip", file, |total| output.progress("x", total)).unwrap();
        let boundary = upload.content_type().split_once('=').unwrap().1.to_owned();
        let said = upload.total_bytes;
        let body = crate::transport::collect(upload.into_body()).await.unwrap();
        assert_eq!(body.len() as u64, said);
        let mut expected = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"site_name\"\r\n\r\nblog\r\n\
             --{boundary}\r\ncontent-disposition: form-data; name=\"spa\"\r\n\r\ntrue\r\n\
             --{boundary}\r\ncontent-disposition: form-data; name=\"file\"; \
             filename=\"a_b.zip\"\r\ncontent-type: application/zip\r\n\r\n"
        )
        .into_bytes();
        expected.extend_from_slice(&content);
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(body == expected);
    }
}
