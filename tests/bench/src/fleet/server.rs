//! A tool server: answers requests of many agents in one thread, as such servers do.

use std::{net::Ipv4Addr, path::Path};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    agent::enter,
    wire::{HEAD_BYTES, read_head},
};

/// Serves on a port of loopback, which it prints, until it is ended.
pub(crate) fn run(cgroup: &Path) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("tying it to the fleet")?;
    enter(cgroup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("starting the event loop")?;
    runtime.block_on(serve())
}

async fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("listening on loopback")?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (connection, _) = listener.accept().await.context("accepting an agent")?;
        // An agent that goes away ends its connection, and nothing else.
        tokio::spawn(async move { answer(connection).await });
    }
}

async fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        let mut head = [0; HEAD_BYTES];
        connection.read_exact(&mut head).await?;
        let Some((sent, wanted)) = read_head(head) else {
            return Ok(());
        };
        bytes.resize(sent as usize, 0);
        connection.read_exact(&mut bytes).await?;
        bytes.resize(wanted as usize, b'.');
        connection.write_all(&bytes).await?;
    }
}
