//! Functions of `src/probe/` have at most four parameters, the receiver not counted.

use super::{read, rust_files};

const MAX_PARAMETERS: usize = 4;

/// A method of a trait of rustls.
const FOREIGN: &str = "verify_server_cert";

#[test]
fn probe_functions_have_max_4_parameters() {
    let mut wrong = Vec::new();
    for file in rust_files("src/probe").into_iter().chain(["src/probe.rs".into()]) {
        for (name, parameters) in functions(&read(&file)) {
            if parameters > MAX_PARAMETERS && name != FOREIGN {
                wrong.push(format!("{}: {name} has {parameters}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "at most {MAX_PARAMETERS} parameters are allowed:\n{}", wrong.join("\n"));
}

#[test]
fn parameters_are_counted() {
    let text =
        "async fn a<F: Fn(u8, u8)>(&mut self, x: (u8, u8), y: HashMap<K, V>,) -> B {}\nfn b() {}\n// fn c(x: u8) {}\n";
    assert_eq!(functions(text), [("a".to_owned(), 2), ("b".to_owned(), 0)]);
}

/// Each function's name and number of parameters.
fn functions(text: &str) -> Vec<(String, usize)> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let (false, Some(list)) = (name.is_empty(), parameter_list(&rest[name.len()..])) {
            found.push((name, count(list)));
        }
    }
    found
}

/// What is between the parentheses, behind the generics.
fn parameter_list(rest: &str) -> Option<&str> {
    let mut angle = 0;
    let mut previous = ' ';
    let open = rest.char_indices().find_map(|(at, c)| {
        match c {
            '<' => angle += 1,
            '>' if previous != '-' => angle -= 1,
            '(' if angle == 0 => return Some(at),
            _ => {}
        }
        previous = c;
        None
    })?;
    let mut depth = 0;
    let close = rest[open..].char_indices().find_map(|(at, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(open + at)
    })?;
    Some(&rest[open + 1..close])
}

fn count(list: &str) -> usize {
    let (mut depth, mut parameters, mut previous) = (0, vec![String::new()], ' ');
    for c in list.chars() {
        match c {
            '(' | '<' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if previous != '-' => depth -= 1,
            ',' if depth == 0 => parameters.push(String::new()),
            _ => {}
        }
        if let Some(last) = parameters.last_mut() {
            last.push(c);
        }
        previous = c;
    }
    let is_receiver = |text: &str| !text.contains(':') && text.ends_with("self");
    let texts = parameters.iter().map(|text| text.trim_matches([',', ' ', '\n']));
    texts.filter(|text| !text.is_empty() && !is_receiver(text)).count()
}
