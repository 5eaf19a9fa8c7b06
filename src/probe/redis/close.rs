//! Closes with `QUIT`, bounded to 200 ms: an abrupt close is logged by some servers.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::pack_command;
use crate::probe::budget::Budget;

/// The longest that `QUIT` and the end of the stream may take.
const LIMIT: Duration = Duration::from_millis(200);

/// Closes the connection. `send_quit`: the next reply would be the one to `QUIT`.
pub(super) async fn close<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, send_quit: bool, budget: &Budget) {
    let _ = budget.within(LIMIT, quit_and_shut_down(stream, send_quit)).await;
}

async fn quit_and_shut_down<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, send_quit: bool) -> io::Result<()> {
    if send_quit {
        stream.write_all(&pack_command(&["QUIT"])).await?;
        stream.flush().await?;
        let mut reply = [0; 64];
        let _ = stream.read(&mut reply).await;
        // Most servers close with the reply. `close_notify` would then be a packet that is answered with a reset.
        if stream.read(&mut reply).now_or_never().is_some_and(|read| read.is_ok_and(|length| length == 0)) {
            return Ok(());
        }
    }
    stream.shutdown().await // with close_notify, where it is TLS
}
