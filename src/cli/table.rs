//! Tables for people.

use crate::terminal::{Stream, Style, styled};

/// A table with a head, its columns as wide as their widest value: what is in it is printable.
pub(crate) fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        let width = |row: &Vec<String>| row.get(column).map_or(0, |cell| cell.chars().count());
        all().map(width).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}  "));
        cells.collect::<String>().trim_end().to_owned()
    };
    let mut lines = vec![styled(Stream::Out, Style::Dim, &line(&head))];
    lines.extend(rows.iter().map(line));
    lines.join("\n")
}
