//! Aligned columns: cells in, lines out.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Row};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Style;

/// Rows of cells, all of the same length; cells hold no line breaks.
#[derive(Debug, Default)]
pub(super) struct Grid {
    pub(super) header: Option<Vec<String>>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Style,
}

/// What the reader's screen allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Lines are cut to this many columns.
    pub(super) width: Option<u16>,
    pub(super) color: bool,
}

const GAP: u16 = 2;

/// A cell is cut to no less: the first twelve characters and an ellipsis keep ids apart.
const NARROWEST: usize = 13;

/// comfy-table counts columns in 16 bits and would wrap what is wider.
const WIDEST: usize = 60_000;

impl Grid {
    /// Writes a line for the header and one for each row, columns two spaces apart.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn write(mut self, out: &mut impl Write, screen: Screen) -> io::Result<()> {
        let widths = self.fit(screen.width);
        let header_lines = usize::from(self.header.is_some());
        let mut layout = comfy_table::Table::new();
        layout
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if let Some(header) = self.header.take() {
            layout.set_header(header);
        }
        layout.add_rows(
            self.rows
                .iter()
                .map(|row| Row::from(row.iter().map(|cell| cell.text.as_str()))),
        );
        let last = widths.len().saturating_sub(1);
        for (index, column) in layout.column_iter_mut().enumerate() {
            column.set_padding((0, if index == last { 0 } else { GAP }));
        }
        for (number, line) in layout.lines().enumerate() {
            let line = line.trim_end();
            let line = screen
                .width
                .map_or(Cow::Borrowed(line), |width| cut(line, width.into()));
            match number
                .checked_sub(header_lines)
                .and_then(|row| self.rows.get(row))
            {
                Some(row) if screen.color => writeln!(out, "{}", paint(&line, row, &widths))?,
                _ => writeln!(out, "{line}")?,
            }
        }
        Ok(())
    }

    /// Cuts the widest columns until a line fits the screen, and returns the width of each column.
    fn fit(&mut self, screen: Option<u16>) -> Vec<usize> {
        let count = self
            .header
            .as_ref()
            .map_or_else(|| self.rows.first().map_or(0, Vec::len), Vec::len);
        let mut widths = vec![0; count];
        if let Some(header) = &self.header {
            widen(&mut widths, header.iter().map(String::as_str));
        }
        for row in &self.rows {
            widen(&mut widths, row.iter().map(|cell| cell.text.as_str()));
        }
        let limit = screen.map_or(WIDEST, |screen| {
            let gaps = usize::from(GAP) * count.saturating_sub(1);
            widest_allowed(&widths, usize::from(screen).saturating_sub(gaps))
        });
        if widths.iter().any(|width| *width > limit) {
            for cell in self
                .rows
                .iter_mut()
                .flatten()
                .filter(|cell| cell.text.len() > limit)
            {
                cell.text = cut(&cell.text, limit).into_owned();
            }
            widths
                .iter_mut()
                .for_each(|width| *width = limit.min(*width));
        }
        widths
    }
}

fn widen<'a>(widths: &mut [usize], cells: impl Iterator<Item = &'a str>) {
    for (width, cell) in widths.iter_mut().zip(cells) {
        *width = columns(cell).max(*width);
    }
}

/// The largest width for every column with which all of them fit into `space`.
fn widest_allowed(widths: &[usize], space: usize) -> usize {
    let fits = |limit: &usize| widths.iter().map(|width| width.min(limit)).sum::<usize>() <= space;
    (NARROWEST..=space.max(NARROWEST))
        .rev()
        .find(fits)
        .unwrap_or(NARROWEST)
}

/// Columns that a text without control characters takes on a screen.
fn columns(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.width()
    }
}

/// At most `width` columns of the text, with `…` where some is missing.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let (mut used, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        end = at + c.len_utf8();
    }
    let mut kept = text[..end].to_owned();
    // a sequence of characters can be wider than the sum of them
    while kept.width() >= width && kept.pop().is_some() {}
    kept.push('…');
    Cow::Owned(kept)
}

/// Colours the cells of a laid-out line; cells that were cut off with its end stay as they are.
fn paint<'a>(line: &'a str, row: &[Cell], widths: &[usize]) -> Cow<'a, str> {
    if row.iter().all(|cell| cell.tone == Style::Plain) {
        return Cow::Borrowed(line);
    }
    let mut painted = String::with_capacity(line.len() + 16);
    let (mut done, mut start) = (0, 0);
    for (cell, width) in row.iter().zip(widths) {
        let end = start + cell.text.len();
        if cell.tone != Style::Plain && line.get(start..end) == Some(cell.text.as_str()) {
            painted.push_str(&line[done..start]);
            painted.push_str(&cell.tone.paint(&cell.text));
            done = end;
        }
        start = end + width.saturating_sub(columns(&cell.text)) + usize::from(GAP);
    }
    painted.push_str(&line[done..]);
    Cow::Owned(painted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Screen = Screen {
        width: None,
        color: false,
    };

    fn grid(header: &[&str], rows: &[&[&str]]) -> Grid {
        let cell = |text: &&str| Cell {
            text: (*text).to_owned(),
            tone: Style::of_status(text),
        };
        Grid {
            header: (!header.is_empty())
                .then(|| header.iter().map(|name| (*name).to_owned()).collect()),
            rows: rows
                .iter()
                .map(|row| row.iter().map(cell).collect())
                .collect(),
        }
    }

    fn lines(grid: Grid, screen: Screen) -> String {
        let mut out = Vec::new();
        grid.write(&mut out, screen).unwrap();
        String::from_utf8(out).unwrap()
    }

    const ID: &str = "0b5e9c1a-7a1d-4c58-9a5e-0123456789ab";

    #[test]
    fn columns_are_aligned_by_what_the_eye_sees() {
        let grid = grid(
            &["NAME", "STATUS"],
            &[&["web-1", "running"], &["日本語", "error"], &["größe", "x"]],
        );
        assert_eq!(
            lines(grid, PLAIN),
            "NAME    STATUS\nweb-1   running\n日本語  error\ngröße   x\n"
        );
    }

    #[test]
    fn lines_have_no_trailing_spaces_and_empty_grids_only_a_header() {
        assert_eq!(
            lines(grid(&["A", "LONGER"], &[&["1", "2"]]), PLAIN),
            "A  LONGER\n1  2\n"
        );
        assert_eq!(lines(grid(&["A", "B"], &[]), PLAIN), "A  B\n");
        assert_eq!(
            lines(grid(&[], &[&["a", "1"], &["bb", "2"]]), PLAIN),
            "a   1\nbb  2\n"
        );
        assert_eq!(lines(Grid::default(), PLAIN), "");
    }

    #[test]
    fn a_narrow_screen_cuts_the_widest_column_first() {
        let rows: &[&[&str]] = &[&[ID, "web-1", "running"]];
        let screen = |width| Screen {
            width: Some(width),
            color: false,
        };
        assert_eq!(
            lines(grid(&[], rows), screen(52)),
            format!("{ID}  web-1  running\n")
        );
        assert_eq!(
            lines(grid(&[], rows), screen(40)),
            "0b5e9c1a-7a1d-4c58-9a5e…  web-1  running\n"
        );
        assert_eq!(lines(grid(&[], rows), screen(20)), "0b5e9c1a-7a1…  web-…\n");
        assert_eq!(lines(grid(&[], rows), screen(1)), "…\n");
    }

    #[test]
    fn without_a_screen_nothing_is_cut_or_wrapped() {
        let long = "word ".repeat(400) + "end";
        assert_eq!(
            lines(grid(&["A", "B"], &[&[&long, "x"]]), PLAIN)
                .lines()
                .count(),
            2
        );
        assert!(lines(grid(&["A", "B"], &[&[&long, "x"]]), PLAIN).contains(&format!("{long}  x")));
    }

    #[test]
    fn only_toned_cells_are_coloured_and_the_layout_stays() {
        let make = || {
            grid(
                &["ID", "STATUS", "AGE"],
                &[&["é日", "running", "1d"], &["22", "other", "2d"]],
            )
        };
        let screen = Screen {
            width: None,
            color: true,
        };
        let colored = lines(make(), screen);
        assert_eq!(
            colored,
            "ID   STATUS   AGE\né日  \x1b[32mrunning\x1b[0m  1d\n22   other    2d\n"
        );
        assert_eq!(
            colored.replace("\x1b[32m", "").replace("\x1b[0m", ""),
            lines(make(), PLAIN)
        );
    }

    #[test]
    fn a_coloured_cell_that_was_cut_off_does_no_harm() {
        let screen = Screen {
            width: Some(8),
            color: true,
        };
        assert_eq!(
            lines(grid(&[], &[&["web-1", "running"]]), screen),
            "web-1  …\n"
        );
    }

    #[test]
    fn cutting_counts_wide_characters_as_two() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "…");
    }
}
