//! The code reference: the pages of `docs/codes/`, as Markdown, for a terminal and as HTML.

pub mod html;
pub mod page;
pub mod terminal;
