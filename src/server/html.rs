//! Text into HTML. Every text that a server, a certificate or a configuration wrote goes through
//! [`text`] on its way to a page.

use std::fmt::{self, Display, Write};

/// `value` with all that HTML or a terminal would act on made visible or harmless, in an element's
/// content and in a quoted attribute alike.
pub(crate) fn text<T: Display>(value: T) -> Text<T> {
    Text(value)
}

/// See [`text`].
pub(crate) struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            '\n' => self.0.write_char('\n'),
            character if character.is_control() || reorders(character) => {
                write!(self.0, "{}", character.escape_unicode())
            }
            character => self.0.write_char(character),
        })
    }
}

/// Characters that change the order of what stands around them, or cannot be seen: a name made of
/// them reads as another one (Unicode TR 36).
fn reorders(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_escapes_markup() {
        assert_eq!(
            text("<script>alert('x')</script> & \"y\"").to_string(),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;"
        );
        assert_eq!(text("moc.\u{202e}live\u{1b}[31m\0").to_string(), "moc.\\u{202e}live\\u{1b}[31m\\u{0}");
        assert_eq!(text("zwölf µs\nnext").to_string(), "zwölf µs\nnext");
    }
}
