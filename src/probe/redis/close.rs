//! The end of a connection. Whoever just vanishes fills the server's log; whoever waits for a goodbye delays the next
//! probe.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::packed;
use crate::probe::budget::Budget;

/// The longest that `QUIT` and the end of the stream are waited for.
const LIMIT: Duration = Duration::from_millis(200);

/// Ends the conversation, with `QUIT` where that is `polite`: where the next reply would be the one to it.
pub(super) async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, polite: bool, budget: &Budget) {
    let _ = budget.within(LIMIT, end(stream, polite)).await;
}

async fn end<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, polite: bool) -> io::Result<()> {
    if polite {
        stream.write_all(&packed(&["QUIT"])).await?;
        stream.flush().await?;
        let mut reply = [0; 64];
        let _ = stream.read(&mut reply).await;
        // The end has mostly come with the reply. To a server that has gone, a goodbye would be one more packet for
        // its machine to refuse.
        if stream.read(&mut reply).now_or_never().is_some_and(|read| read.is_ok_and(|length| length == 0)) {
            return Ok(());
        }
    }
    stream.shutdown().await // with close_notify, where it is TLS
}
