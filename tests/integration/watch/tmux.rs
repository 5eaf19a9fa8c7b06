//! The screen in a real terminal, tmux, against servers on loopback whose answer changes; and the terminal afterwards.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::Flip;

/// A tmux server of its own with one pane of 80 columns and 24 rows, in which bash runs; it ends when it is dropped.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(name: &str) -> Self {
        let tmux = Self { socket: format!("redpath-{name}-{}", std::process::id()) };
        let shell = "env -u NO_COLOR TERM=screen-256color LC_ALL=C.UTF-8 PS1='ready> ' bash --norc --noprofile -i";
        let output = tmux.run(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", shell]);
        assert!(output.status.success(), "tmux is needed (Debian's package tmux): {output:?}");
        tmux.wait_for("the prompt", |screen| screen.contains("ready>"));
        tmux
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().expect("tmux runs")
    }

    fn text(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(arguments).stdout).expect("UTF-8")
    }

    fn screen(&self) -> String {
        self.text(&["capture-pane", "-p"])
    }

    fn send(&self, keys: &[&str]) {
        assert!(self.run(&[&["send-keys"][..], keys].concat()).status.success());
    }

    fn type_line(&self, line: &str) {
        self.send(&["-l", line]);
        self.send(&["Enter"]);
    }

    /// Waits until the screen is as wanted, and returns it.
    fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "no {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal has its lines, its echo, its cursor and its own screen.
    fn assert_is_as_found(&self) {
        self.wait_for("the prompt", |screen| screen.trim_end().ends_with("ready>"));
        assert_eq!(self.text(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
        self.type_line("clear; stty -a | tr ' ' '\\n' | grep -E '^-?(icanon|echo|isig|opost);?$' | xargs; echo end");
        let screen = self.wait_for("modes", |screen| screen.contains("\nend"));
        assert!(screen.contains("opost isig icanon echo"), "{screen}");
        self.type_line("clear");
    }

    /// Starts a watch, and waits for its first result.
    fn watch(&self, flip: &Flip, further: &str) {
        let arguments = flip.arguments().join(" ");
        let program = env!("CARGO_BIN_EXE_redpath");
        let line = format!("{program} {arguments} {further}; echo \"status $?\"");
        // In a file, since the line would wrap on the screen.
        let script = flip.folder().join("watch.sh");
        std::fs::write(&script, line).expect("a script");
        self.type_line(&format!("source {}", script.display()));
        self.wait_for("first result", |screen| screen.contains("FAIL  127.0.0.20"));
    }

    fn pid_of_watch(&self) -> String {
        let shell = self.text(&["display-message", "-p", "#{pane_pid}"]);
        let children = format!("/proc/{0}/task/{0}/children", shell.trim());
        std::fs::read_to_string(children).expect("the children of the shell").trim().to_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn screen_shows_flip_within_an_interval() {
    let (flip, tmux) = (Flip::start("tmux-flip"), Tmux::start("flip"));
    tmux.watch(&flip, "--interval 1s");
    let screen = tmux.screen();
    assert!(screen.contains("NO-GO") && screen.contains("private_zone_not_seen"), "{screen}");
    let flipped = Instant::now();
    flip.link_zone();
    tmux.wait_for("PASS", |screen| screen.contains("PASS  127.0.0.10") && screen.contains("GO: nothing"));
    // A second is for the probe, the drawing and a slow machine.
    assert!(flipped.elapsed() < Duration::from_secs(2), "{:?}", flipped.elapsed());

    tmux.send(&["m"]);
    tmux.send(&["-l", "zone linked"]);
    tmux.send(&["Enter"]);
    tmux.wait_for("the mark", |screen| screen.contains("mark        zone linked"));
    tmux.send(&["?"]);
    tmux.wait_for("help", |screen| screen.contains("P public"));
    tmux.send(&["?"]);
    tmux.run(&["resize-window", "-x", "39", "-y", "9"]);
    tmux.wait_for("one line", |screen| screen.starts_with("PASS 127.0.0.10") && screen.trim().lines().count() == 1);
    tmux.run(&["resize-window", "-x", "100", "-y", "30"]);
    tmux.wait_for("the screen", |screen| screen.contains("q quit"));

    tmux.send(&["Q"]);
    let screen = tmux.wait_for("the summary", |screen| screen.contains("status 0"));
    assert!(screen.contains("marks") && screen.contains("zone linked"), "{screen}");
    let all = tmux.text(&["capture-pane", "-p", "-S", "-100"]);
    assert!(all.contains("q quit  space freeze") && all.contains("Watched 1 target"), "{all}");
    tmux.assert_is_as_found();
}

#[test]
fn terminal_is_as_found_after_signals() {
    let (flip, tmux) = (Flip::start("tmux-signals"), Tmux::start("signals"));
    for signal in ["TERM", "INT", "HUP"] {
        tmux.watch(&flip, "--interval 200ms");
        let kill = Command::new("kill").args([&format!("-{signal}"), &tmux.pid_of_watch()]).status();
        assert!(kill.expect("kill runs").success());
        let screen = tmux.wait_for("the summary", |screen| screen.contains("status 1"));
        assert!(screen.contains("next command"), "{signal}: {screen}");
        tmux.assert_is_as_found();
    }
}

#[test]
fn terminal_is_as_found_while_stopped() {
    let (flip, tmux) = (Flip::start("tmux-stop"), Tmux::start("stop"));
    tmux.watch(&flip, "--interval 200ms");
    let pid = tmux.pid_of_watch();
    let by_key = || tmux.send(&["C-z"]);
    let by_signal = || {
        let kill = Command::new("kill").args(["-TSTP", &pid]).status();
        assert!(kill.expect("kill runs").success());
    };
    for stop in [&by_key as &dyn Fn(), &by_signal] {
        stop();
        tmux.wait_for("the shell", |screen| screen.contains("Stopped"));
        tmux.assert_is_as_found();
        tmux.type_line("fg");
        tmux.wait_for("the screen", |screen| screen.contains("q quit") && screen.contains("FAIL  127.0.0.20"));
    }
    tmux.send(&["q"]);
    tmux.wait_for("the summary", |screen| screen.contains("Watched 1 target"));
    tmux.assert_is_as_found();
}

#[test]
fn watch_ends_with_its_terminal() {
    let (flip, tmux) = (Flip::start("tmux-closed"), Tmux::start("closed"));
    tmux.watch(&flip, "--interval 200ms");
    let process = format!("/proc/{}", tmux.pid_of_watch());
    tmux.run(&["kill-server"]);
    let end = Instant::now() + Duration::from_secs(20);
    while Path::new(&process).exists() {
        assert!(Instant::now() < end, "it is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}
