//! JUnit XML, which build servers show as tests.

use maud::{Markup, PreEscaped, html};

use crate::printable::printable;

/// A test suite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its tests.
    pub cases: Vec<Case>,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is tested.
    pub name: String,
    /// The group that it belongs to.
    pub class: String,
    /// How it ended.
    pub result: CaseResult,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseResult {
    /// It passed.
    Passed,
    /// It failed: one line, and all that is known.
    Failed {
        /// One line.
        message: String,
        /// All that is known.
        detail: String,
    },
    /// It could not be decided: one line, and all that is known.
    Error {
        /// One line.
        message: String,
        /// All that is known.
        detail: String,
    },
}

/// The document. A character that XML 1.0 cannot carry is shown as its escape.
pub fn document(suite: &Suite) -> String {
    let count = |wanted: fn(&CaseResult) -> bool| suite.cases.iter().filter(|case| wanted(&case.result)).count();
    let failures = count(|result| matches!(result, CaseResult::Failed { .. }));
    let errors = count(|result| matches!(result, CaseResult::Error { .. }));
    let document = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuites tests=(suite.cases.len()) failures=(failures) errors=(errors) {
            (PreEscaped("\n"))
            testsuite name=(clean(&suite.name)) tests=(suite.cases.len()) failures=(failures) errors=(errors) {
                (PreEscaped("\n"))
                @for case in &suite.cases {
                    testcase classname=(clean(&case.class)) name=(clean(&case.name)) { (result(&case.result)) }
                    (PreEscaped("\n"))
                }
            }
            (PreEscaped("\n"))
        }
        (PreEscaped("\n"))
    };
    document.into_string()
}

fn result(result: &CaseResult) -> Markup {
    match result {
        CaseResult::Passed => html! {},
        CaseResult::Failed { message, detail } => html! { failure message=(clean(message)) { (clean(detail)) } },
        CaseResult::Error { message, detail } => html! { error message=(clean(message)) { (clean(detail)) } },
    }
}

/// Each line printable; the line ends stay.
fn clean(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_escapes_what_is_no_xml() {
        let case = Case {
            name: "a<b>\"&'\u{1}".into(),
            class: "app-a".into(),
            result: CaseResult::Failed { message: "x\u{0}".into(), detail: "one\ntwo ]]>".into() },
        };
        let text = document(&Suite { name: "redpath".into(), cases: vec![case] });
        let expected = "<testcase classname=\"app-a\" name=\"a&lt;b&gt;&quot;&amp;'\\u{1}\"><failure message=\"x\\u{0}\">one\ntwo ]]&gt;</failure></testcase>";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("<testsuites tests=\"1\" failures=\"1\" errors=\"0\">"), "{text}");
    }
}
