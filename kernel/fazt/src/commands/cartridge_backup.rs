//! `fazt cartridge backup FILE`: one consistent copy, also of a node that runs or is elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use fazt_sdk::command::{Argument, Column, Command, Format};
use fazt_sdk::http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde_json::json;

use super::{ClientCommand, Running};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::Progress;
use crate::run::Run;
use crate::transport::{self, Body, Request};

pub(super) const COMMAND: ClientCommand = ClientCommand {
    command,
    run: |run, arguments| -> Running<'_> { Box::pin(backup(run, arguments)) },
};

fn command() -> Command {
    Command::new("cartridge backup")
        .about("Writes one consistent copy of the cartridge, while the node goes on")
        .example("cartridge backup backup.db")
        .argument(Argument::required("file", "The copy; it must not exist yet"))
}

async fn backup(run: &mut Run<'_, '_>, arguments: Arguments) -> Result<(), Failure> {
    let file = PathBuf::from(arguments.text("file").unwrap_or_default());
    refuse_existing(&file)?;
    let transport = run.connect().await?;
    let copied = copy(run, transport.as_ref(), &file).await;
    let closed = transport.close().await;
    let size_bytes = copied?;
    closed?;

    let data = json!({"backup": file, "size_bytes": size_bytes});
    let column = |title: &str, field: &str, format| Column {
        title: title.to_owned(),
        field: field.to_owned(),
        format,
    };
    let columns =
        [column("backup", "backup", Format::Plain), column("size", "size_bytes", Format::Bytes)];
    run.output.result(&data, &columns, None)?;
    run.output.note(&format!("bring it back: fazt cartridge restore {}", file.display()));
    Ok(())
}

async fn copy(
    run: &Run<'_, '_>,
    transport: &dyn transport::Transport,
    file: &Path,
) -> Result<u64, Failure> {
    let reply = transport.send(Request::new(Method::Get, BACKUP)).await?;
    if reply.status != 200 {
        let body = transport::collect(reply.body).await?;
        return Err(Failure::of_reply(reply.status, &body, transport.place()));
    }
    let total = reply.body.size_hint().exact();
    let progress = total.map(|total| run.output.progress("receiving", total));
    let mut partial = Partial::new(file)?;
    let size_bytes = partial.receive(reply.body, progress).await?;
    if total.is_some_and(|total| total != size_bytes) {
        return Err(Failure::unreachable("the copy broke off, and nothing was kept"));
    }
    partial.publish(file)?;
    Ok(size_bytes)
}

/// A copy under another name until it is whole. Removed when dropped before that.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn new(target: &Path) -> Result<Self, Failure> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".partial-{}", std::process::id()));
        let path = PathBuf::from(name);
        // A copy holds every secret of the node: it is the owner's alone.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unwritable(target, &error))?;
        Ok(Self { path, file })
    }

    async fn receive(
        &mut self,
        mut body: Body,
        mut progress: Option<Progress>,
    ) -> Result<u64, Failure> {
        let mut size_bytes = 0;
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            self.file.write_all(&chunk).map_err(|error| unwritable(&self.path, &error))?;
            size_bytes += chunk.len() as u64;
            if let Some(progress) = &mut progress {
                progress.at(size_bytes);
            }
        }
        Ok(size_bytes)
    }

    /// Gives the whole copy its name, which nothing else may have taken meanwhile.
    fn publish(self, file: &Path) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| unwritable(&self.path, &error))?;
        fs::hard_link(&self.path, file).map_err(|error| unwritable(file, &error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // A rest that cannot be removed is named as what it is.
        drop(fs::remove_file(&self.path));
    }
}

fn refuse_existing(file: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(Failure::failed(format!(
            "{} exists already and is left alone",
            file.display()
        ))
        .hint("name another file"));
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

/// Where a node answers with a copy of its cartridge.
const BACKUP: &str = "/api/system/backup";
