//! `redpath healthcheck`: asks an agent whether it is ready, for images that have no other program.

use url::Url;

use super::print;
use crate::cli::{ExitCode, HealthcheckArgs, print_error};
use crate::printable::printable;
use crate::probe::http::HttpClient;

/// The most bytes of an answer, which is one line.
const MAX_BODY: usize = 64 << 10;

/// Passes where the agent answers with status 200.
pub async fn run(args: HealthcheckArgs) -> ExitCode {
    let url = match address(&args.url) {
        Ok(url) => url,
        Err(why) => {
            print_error(&why);
            return ExitCode::Usage;
        }
    };
    let client = HttpClient::new(args.ca_file, MAX_BODY);
    match client.get(&url, &[], args.timeout).await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.body);
            let line = printable(text.lines().next().unwrap_or_default()).into_owned();
            if answer.status == 200 {
                return print(format!("{line}\n").as_bytes());
            }
            print_error(&format!("the agent answers with status {}: {line}", answer.status));
            ExitCode::Fail
        }
        Err(why) => {
            print_error(&format!("the agent does not answer: {why}"));
            ExitCode::Fail
        }
    }
}

/// The URL, if it is one of an agent. It is not quoted: a credential may be in it.
fn address(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let known = |url: &Url| matches!(url.path(), "/-/ready" | "/-/healthy") && url.query().is_none();
    let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
    parsed.filter(|url| known(url) && plain(url)).ok_or_else(|| {
        "a URL of an agent with /-/ready or /-/healthy is expected, such as http://127.0.0.1:9736/-/ready".to_owned()
    })
}
